export { KvmDevice } from './device.ts';
export { DriverFile } from './driver-file.ts';
export { type Access, access, type GuestExit, type How } from './guest.ts';
export { GuestMemfdFile } from './guest-memfd-file.ts';
export type { Machine } from './machine.ts';
export { VcpuFile } from './vcpu-file.ts';
export { VmFile } from './vm-file.ts';
