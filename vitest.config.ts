import { defineConfig } from 'vitest/config';

/** They replace modules, or count what a process has: memory, listeners, threads. */
const ALONE = ['test/host/open.test.ts', 'test/lifecycle/{leaks,workers}.test.ts', 'test/native/*.test.ts'];

export default defineConfig({
  test: {
    // Worker threads would do for most, but the ffi backend works on a main thread only.
    pool: 'forks',
    // Vitest leaves one processor to itself, which is half of a small machine.
    maxWorkers: '100%',
    testTimeout: 20_000,
    restoreMocks: true,
    // The mock checks its own rules after every call.
    env: { GMEM_INVARIANTS: '1' },
    projects: [
      // Modules are loaded once a process, not once a file.
      { extends: true, test: { name: 'together', isolate: false, include: ['test/**/*.test.ts'], exclude: ALONE } },
      { extends: true, test: { name: 'alone', include: ALONE } },
    ],
  },
});
