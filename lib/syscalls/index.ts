export * from './ffi.ts';
export * from './native.ts';
export * from './open.ts';
export * from './seam.ts';
export * from './unavailable.ts';
