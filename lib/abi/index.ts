export * from './capabilities.ts';
export * from './errno.ts';
export * from './guest-memfd.ts';
export * from './ioctl.ts';
export * from './kvm.ts';
export * from './linux.ts';
export * from './struct.ts';
export * from './table.ts';
