// @ts-check
import { spawnSync } from 'node:child_process';
import { openCache } from '../host/cache.mjs';
import { Failure, say, status } from '../host/failure.mjs';
import { elapsed } from '../host/progress.mjs';
import { build } from '../kernel/build.mjs';
import { KtapCounter } from '../machine/ktap.mjs';
import { parseOptions } from '../options.mjs';
import { kernels, prepare, tests } from '../tests.mjs';
import { execute } from './execute.mjs';
import { machineOptions, PROJECT } from './machine-options.mjs';

/** @type {import('./command.mjs').Command} */
export const test = {
  usage: '[OPTION...] [NAME...]',
  summary: "the project's tests that need a real kernel (scripts/lab/tests.mjs), all or those named",
  options: {
    list: { help: 'print their names' },
    kernel: {
      value: 'NAME|BZIMAGE',
      help: 'test this kernel',
      many: true,
      default: 'those of tests.mjs, built when they are not there',
    },
  },
  async start(given) {
    const chosen = choose(given.rest);
    if (given.on['list']) {
      for (const { name, command } of chosen) process.stdout.write(`${name}\t${command.join(' ')}\n`);
      return 0;
    }
    const [program = '', ...args] = prepare;
    const prepared = spawnSync(program, args, { cwd: PROJECT, stdio: ['ignore', 2, 2] });
    if (prepared.status !== 0) throw new Failure('the project cannot be built; what is above says why');
    const images = given.many['kernel'] ?? [];
    if (images.length === 0) {
      for (const kernel of kernels) images.push((await build(openCache(), { ...kernel, from: PROJECT })).name);
    }
    let failed = 0;
    for (const kernel of images) for (const one of chosen) failed += (await runOne(one, kernel)) ? 0 : 1;
    say(failed === 0 ? 'all passed' : `${failed} of ${images.length * chosen.length} failed`);
    return failed === 0 ? 0 : status.failed;
  },
};

/** @param {string[]} names */
function choose(names) {
  const unknown = names.find((name) => !tests.some((one) => one.name === name));
  if (unknown !== undefined) throw new Failure(`no test named '${unknown}'; lab test --list shows them`, status.usage);
  return names.length === 0 ? tests : tests.filter(({ name }) => names.includes(name));
}

/**
 * @param {import('../tests.mjs').LabTest} one
 * @param {string} kernel
 */
async function runOne(one, kernel) {
  const begun = Date.now();
  const counter = new KtapCounter(process.stdout);
  const given = parseOptions([...(one.options ?? []), '--kernel', kernel], machineOptions);
  const ending = await execute(given, {
    command: one.command,
    out: one.ktap ? counter : process.stdout,
    err: process.stderr,
    timeout: one.timeout,
  });
  counter.finish();
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
