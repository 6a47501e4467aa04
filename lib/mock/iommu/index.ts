export { type DmaEngine, dmaEngine } from './dma-control.ts';
export { HeldOff } from './hold-off.ts';
export * from './policy.ts';
export { IommuSystem } from './system.ts';
