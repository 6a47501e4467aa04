export * from './clients.ts';
export * from './convert-ranges.ts';
export * from './convert-whole.ts';
export * from './fallocate.ts';
export * from './inode.ts';
export * from './invalidate.ts';
export * from './references.ts';
