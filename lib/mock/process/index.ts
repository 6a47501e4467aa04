export * from './address-space.ts';
export * from './eventfd.ts';
export * from './fd-table.ts';
export * from './file.ts';
export * from './memfd.ts';
export * from './text-file.ts';
export * from './user-memory.ts';
export * from './vma.ts';
