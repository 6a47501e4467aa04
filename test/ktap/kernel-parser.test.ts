/** The judge that counts is the kernel's own parser; it is run where a kernel tree is at hand. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const kunit = process.env['KUNIT_PY'];
const missing = kunit
  ? existsSync(kunit)
    ? undefined
    : `KUNIT_PY names no file: ${kunit}`
  : "needs the kernel's KTAP parser: set KUNIT_PY to tools/testing/kunit/kunit.py of a kernel tree";

it.for([
  ['outcomes', 'Ran 7 tests: passed: 2, failed: 4, skipped: 1'],
  ['nested', 'Ran 6 tests: passed: 2, failed: 1, skipped: 3'],
])("the kernel's parser reads %s without a complaint", ([name, summary], { skip }) => {
  if (missing) skip(missing);
  const file = fileURLToPath(new URL(`golden/${name}.ktap`, import.meta.url));
  const { stdout } = spawnSync('python3', [String(kunit), 'parse', file], { encoding: 'utf8' });
  expect(stdout).toContain(summary);
  expect(stdout).not.toContain('[ERROR]');
});
