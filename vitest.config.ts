import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Worker threads would do for most, but the ffi backend works on a main thread only.
    pool: 'forks',
    // Vitest leaves one processor to itself, which is half of a small machine.
    maxWorkers: '100%',
    testTimeout: 20_000,
  },
});
