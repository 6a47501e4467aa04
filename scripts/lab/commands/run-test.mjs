// @ts-check
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { say } from '../host/failure.mjs';
import { elapsed } from '../host/progress.mjs';
import { KtapCounter } from '../machine/ktap.mjs';
import { parseOptions } from '../options.mjs';
import { execute } from './execute.mjs';
import { machineOptions } from './machine-options.mjs';

/**
 * Runs one test in one kernel and says how it went. What it prints comes out in one piece at its end: others may run
 * meanwhile.
 * @param {import('../tests.mjs').LabTest} one
 * @param {string} kernel
 * @returns {Promise<boolean>} whether it passed
 */
export async function runTest(one, kernel) {
  const begun = Date.now();
  const held = new PassThrough();
  const printed = buffer(held);
  const counter = new KtapCounter(held);
  const cpus = String(one.cpus ?? 1);
  const given = parseOptions([...(one.options ?? []), '--cpus', cpus, '--kernel', kernel], machineOptions);
  const ending = await execute(given, {
    command: one.command,
    out: one.ktap ? counter : held,
    err: process.stderr,
    timeout: one.timeout,
  });
  counter.finish();
  held.end();
  process.stdout.write(await printed);
  const reasons = [
    ...(ending === 0 ? [] : [`status ${ending}`]),
    ...(one.ktap && counter.notOk.length > 0 ? [`${counter.notOk.length} not ok`] : []),
    ...(one.ktap && counter.ok === 0 ? ['no test passed'] : []),
  ];
  for (const line of counter.notOk) say(`  ${line}`);
  const counts = one.ktap ? `${counter.ok} ok, ${counter.skipped} skipped, ` : '';
  say(`${one.name} on ${kernel}: ${reasons.join(', ') || 'passed'} (${counts}${elapsed(Date.now() - begun)})`);
  return reasons.length === 0;
}
