/** Loaded before each file of tests: which change is in force, or what the file reaches (see unit-tests.mjs). */

import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';

const { GMEM_MUTANT: active, GMEM_MUTANTS_REACHED: report } = process.env;

if (report === undefined) {
  globalThis.__mutant = (number) => number === Number(active);
} else {
  // Modules keep the function they were loaded with, and stay loaded from one file to the next.
  globalThis.__reached ??= new Set();
  const reached = globalThis.__reached;
  globalThis.__mutant = (number) => {
    reached.add(number);
    return false;
  };
  const note = (file) => {
    appendFileSync(report, `${JSON.stringify({ file, reached: [...reached] })}\n`);
    reached.clear();
  };
  beforeAll(() => note(null));
  afterAll(() => note(expect.getState().testPath));
}
