import { dirname, join, resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vitest/config';

const LIB = join(import.meta.dirname, 'lib/');
const DIST = join(import.meta.dirname, 'dist/');

/** They replace modules, which vitest can do with those alone that it loads itself. */
const REPLACING = ['test/{host,syscalls}/open.test.ts'];
/** They count what a process has: memory, listeners, threads. */
const ALONE = ['test/lifecycle/{leaks,workers}.test.ts', 'test/native/*.test.ts'];

/** Tests say lib/*.ts and are given what users are, dist/*.js: loaded by Node.js, at its full speed. */
const compiled: Plugin = {
  name: 'compiled',
  enforce: 'pre',
  resolveId(source, importer) {
    if (importer === undefined || !/^\.\.?\/.*\.ts$/.test(source)) return undefined;
    const path = resolve(dirname(importer), source);
    if (!path.startsWith(LIB)) return undefined;
    return { id: path.replace(LIB, DIST).replace(/\.ts$/, '.js'), external: true };
  },
};
const server = { deps: { external: [/\/dist\//] } };

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
    globalSetup: 'test/up-to-date.ts',
    projects: [
      {
        extends: true,
        plugins: [compiled],
        // Modules are loaded once a process, not once a file.
        test: {
          name: 'together',
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: [...ALONE, ...REPLACING],
          server,
        },
      },
      { extends: true, plugins: [compiled], test: { name: 'alone', include: ALONE, server } },
      { extends: true, test: { name: 'replacing', include: REPLACING } },
    ],
  },
});
