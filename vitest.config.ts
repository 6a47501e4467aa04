import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Worker threads would do for most, but the ffi backend works on a main thread only.
    pool: 'forks',
    testTimeout: 20_000,
  },
});
