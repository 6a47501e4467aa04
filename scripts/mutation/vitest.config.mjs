/** The unit tests of the mock, with one change in force: see unit-tests.mjs. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = join(import.meta.dirname, '../..');
const sources = JSON.parse(readFileSync(process.env.GMEM_MUTANT_SOURCES, 'utf8'));

export default defineConfig({
  root,
  plugins: [{ name: 'mutants', enforce: 'pre', load: (id) => sources[id] }],
  test: {
    pool: 'forks',
    isolate: false,
    bail: 1,
    // As in the tests themselves: one that is slow on a busy machine has noticed nothing.
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ['dot'],
    include: ['test/{mock,kvm,contract,guest-memfd,guest-ram}/**/*.test.ts'],
    setupFiles: [join(import.meta.dirname, 'in-force.mjs')],
    restoreMocks: true,
    env: { GMEM_INVARIANTS: '1' },
  },
});
