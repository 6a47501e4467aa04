export { HeldOff } from './hold-off.ts';
export * from './policy.ts';
export { IommuSystem } from './system.ts';
