export { type DmaEngine, dmaEngine } from './dma-control.ts';
export { checkDevices, type DeviceOption } from './pci/device-options.ts';
export * from './policy.ts';
export { makePrivateSide } from './private-side.ts';
export { IommuSystem } from './system.ts';
