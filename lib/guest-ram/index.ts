export type { CheckOptions, DeviceRead, Discrepancy, GuestRead } from './check.ts';
export type { DmaPiece, DmaSpace } from './dma-space.ts';
export { type DmaTarget, ioasSpace, type MapBy } from './dma-targets.ts';
export { type AttachOptions, type GuestConvertRange, GuestRam } from './guest-ram.ts';
export type { GuestRamOptions, RamRegion } from './options.ts';
export type { StateRun } from './page-states.ts';
export { outside, PieceList } from './piece-list.ts';
export type { RamStep } from './steps.ts';
