export { createPlatform, platformNames } from './create.ts';
export type * from './guest-hardware.ts';
export * from './machine-types.ts';
export * from './outside.ts';
export * from './platform.ts';
