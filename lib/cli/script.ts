/**
 * Selftest-style scripts in one file: cases of one's own, run as `gmem selftest` runs its own, with the same options.
 *
 * ```js
 * import { selftest } from 'guest-memfd/selftest';
 * await selftest([{ name: 'my_case', about: 'what it tests', async run(t) { t.ok(true, 'it does'); } }]);
 * ```
 */

import { basename } from 'node:path';
import { wrongType } from '../abi/invalid.ts';
import type { AnyCase } from '../selftest/index.ts';
import { inThisProcess } from './process.ts';
import { runCommand } from './run-command.ts';
import { selftestCommand } from './selftest-command.ts';

export { type AnyCase, type Case, defineCase, type Requires, type T } from '../selftest/index.ts';

/**
 * Runs the cases on every backend that works here, or on those the script's arguments choose; prints KTAP on stdout
 * and sets the process's exit code: 0 all passed, 1 something failed, 2 wrong usage, 4 nothing could run.
 *
 * @throws TypeError for what is no list of cases
 */
export async function selftest(cases: readonly AnyCase[]): Promise<void> {
  if (!Array.isArray(cases) || cases.some((one) => typeof one?.run !== 'function' || typeof one.name !== 'string')) {
    throw wrongType('cases', 'a list of cases, each with name, about and run', cases);
  }
  const program = basename(process.argv[1] ?? 'selftest');
  const command = selftestCommand(cases, program);
  await inThisProcess(program, (argv, io) => runCommand(command, argv, io, program));
}
