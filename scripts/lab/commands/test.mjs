// @ts-check
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openCache } from '../host/cache.mjs';
import { Failure, say, status, Unavailable } from '../host/failure.mjs';
import { withLock } from '../host/lock.mjs';
import { forRunning, installPackages, missingPackages } from '../host/packages.mjs';
import { build } from '../kernel/build.mjs';
import { kernels, prepare, tests } from '../tests.mjs';
import { PROJECT } from './machine-options.mjs';
import { runTest } from './run-test.mjs';

/** @type {import('./command.mjs').Command} */
export const test = {
  usage: '[OPTION...] [NAME...]',
  summary: "the project's tests that need a real kernel (scripts/lab/tests.mjs), all or those named",
  options: {
    list: { help: 'print their names' },
    kernel: {
      value: 'NAME|BZIMAGE',
      help: 'test this kernel; one of tests.mjs is built when it is not there',
      many: true,
      default: 'those of tests.mjs',
    },
    jobs: { value: 'N', number: true, help: 'run so many machines at once', default: 'one a processor' },
    'if-possible': {
      help: `where no lab can be (no QEMU and no way to install it), say so and end with ${status.skipped}`,
    },
  },
  async start(given) {
    const chosen = choose(given.rest);
    if (given.on['list']) {
      for (const { name, command } of chosen) process.stdout.write(`${name}\t${command.join(' ')}\n`);
      return 0;
    }
    try {
      const images = await prepareAll(given.many['kernel'] ?? []);
      // The longest come first in the list: those of every kernel, so that none is left for the end.
      const runs = chosen.flatMap((one) =>
        images
          .filter((kernel, index) => (one.kernels ?? images).includes(kernel) && (index === 0 || !one.once))
          .map((kernel) => ({ one, kernel })),
      );
      if (runs.length === 0) throw new Failure(`none of these tests is for ${images.join(', ')}`, status.usage);
      const failed = await runAll(runs, given.number['jobs'] ?? availableParallelism());
      say(failed === 0 ? 'all passed' : `${failed} of ${runs.length} failed`);
      return failed === 0 ? 0 : status.failed;
    } catch (error) {
      if (!(error instanceof Unavailable && given.on['if-possible'])) throw error;
      say(`skipped: ${error.message}`);
      return status.skipped;
    }
  },
};

/** @param {string[]} names */
function choose(names) {
  const unknown = names.find((name) => !tests.some((one) => one.name === name));
  if (unknown !== undefined) throw new Failure(`no test named '${unknown}'; lab test --list shows them`, status.usage);
  return names.length === 0 ? tests : tests.filter(({ name }) => names.includes(name));
}

/**
 * @param {readonly string[]} asked
 * @returns {Promise<readonly string[]>} the kernels to test
 */
async function prepareAll(asked) {
  const cache = openCache();
  if (missingPackages(forRunning).length > 0) {
    await withLock(cache.lock, () => installPackages(forRunning, join(cache.logs, 'packages.log')));
  }
  const [program = '', ...args] = prepare;
  const prepared = spawnSync(program, args, { cwd: PROJECT, stdio: ['ignore', 2, 2] });
  if (prepared.status !== 0) throw new Failure('the project cannot be built; what is above says why');
  const wanted = asked.length > 0 ? asked : kernels.map(({ name }) => name);
  for (const kernel of kernels.filter(({ name }) => wanted.includes(name))) {
    await build(cache, { ...kernel, from: PROJECT });
  }
  return wanted;
}

/**
 * @param {readonly { one: import('../tests.mjs').LabTest, kernel: string }[]} runs
 * @param {number} jobs
 * @returns {Promise<number>} how many failed
 */
async function runAll(runs, jobs) {
  const waiting = [...runs];
  let failed = 0;
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await runTest(next.one, next.kernel))) failed++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, runs.length) }, worker));
  return failed;
}
