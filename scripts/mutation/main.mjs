/** Every change that neither the test cases nor the unit tests of the mock notice is a rule nobody checks. */

import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build, sourcesOf } from './build.mjs';
import { whyEquivalent } from './equivalents.mjs';
import { UnitTests } from './unit-tests.mjs';

const HELP = `usage: scripts/mutate [options]

  --files PATH,...   source files and folders to break; the way of a conversion by default
  --sample N         no more than N changes, spread over the files
  --kernels NAME,... mocked kernels whose cases must notice (default rfc-v2,inplace-v13,linux-7.3)
  --platforms NAME,... and their platforms (default software-protected,sev-snp,tdx)
  --verbose          also what noticed each change

It exits with 1 where a change survives, and with 2 for a wrong command line.
`;

/** guest_memfd's core, what KVM makes of it, and the hardware. */
const CONVERSION = [
  'lib/mock/guest-memfd',
  'lib/mock/platform',
  'lib/mock/kvm/guest-memfd-file.ts',
  'lib/mock/kvm/stage2.ts',
];
/** Silence for so long is a loop without end, which is noticed: a case that waits gives up before. */
const SILENCE_MS = 20_000;

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const values = readOptions();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

/** What is wrong on the command line ends it, with 2 as everywhere. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        files: { type: 'string' },
        sample: { type: 'string' },
        kernels: { type: 'string', default: 'rfc-v2,inplace-v13,linux-7.3' },
        platforms: { type: 'string', default: 'software-protected,sev-snp,tdx' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.sample !== undefined && !/^[1-9]\d*$/.test(values.sample)) {
      throw new RangeError(`--sample takes a count, not '${values.sample}'`);
    }
    for (const path of values.files?.split(',') ?? []) {
      if (!existsSync(join(root, path))) throw new RangeError(`--files: no ${path} in the project`);
    }
    return values;
  } catch (error) {
    process.stderr.write(`scripts/mutate: ${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

const groups = values.kernels
  .split(',')
  .flatMap((kernel) => values.platforms.split(',').map((platform) => ({ kernel, platform })));
const paths = await sourcesOf(root, values.files?.split(',') ?? CONVERSION);
const { directory, mutants, texts } = await build(root, paths);
const unitTests = new UnitTests(root, directory);
await unitTests.prepare(texts);

let child;
process.on('exit', () => child?.kill('SIGKILL'));

/** Answers once; undefined where it was silent for so long, or the process ended. */
function ask(message, silence) {
  return new Promise((resolve) => {
    const stop = (answer) => {
      clearTimeout(timer);
      child.off('message', hear);
      child.off('exit', ended);
      resolve(answer);
    };
    const ended = () => stop(undefined);
    const timer = silence === undefined ? undefined : setTimeout(ended, silence);
    const hear = (answer) => {
      if (answer === 'going on') timer?.refresh();
      else stop(answer);
    };
    child.on('message', hear);
    child.on('exit', ended);
    if (message !== undefined) child.send(message);
  });
}

/** @param {number} [from] a change that is in force while modules are loaded */
async function start(from) {
  const options = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] };
  child = fork(
    join(dirname(fileURLToPath(import.meta.url)), 'worker.mjs'),
    [JSON.stringify({ directory, groups, from })],
    options,
  );
  const answer = await ask(undefined);
  if (answer !== 'ready' && from === undefined) throw new Error('the cases could not be loaded');
  return answer === 'ready';
}

const show = ({ path, line, from, to }) =>
  `${path}:${line}: ${oneLine(from)} -> ${to === '' ? '(left out)' : oneLine(to)}`;
const oneLine = (text) => text.replace(/\s+/g, ' ').slice(0, 140);

/** As many as were asked for, from all over. */
function sampled(all) {
  const count = Math.min(Number(values.sample ?? all.length), all.length);
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]);
}

/** Each case once before any a second time on another kernel; first those that are fast and about much that is broken. */
function inOrder(runs) {
  const times = new Map();
  const cost = ({ ms, reached }) => ms / reached.length ** 2;
  return runs
    .toSorted((a, b) => cost(a) - cost(b))
    .map((run) => {
      const before = times.get(run.title) ?? 0;
      times.set(run.title, before + 1);
      return { ...run, before };
    })
    .toSorted((a, b) => a.before - b.before)
    .map(({ group, index, title }) => ({ group, index, title }));
}

await start();
const surveyed = await ask('survey');
if (!surveyed?.runs) throw new Error(surveyed?.why ?? 'the cases fail with nothing broken');
const { loaded, runs } = surveyed;
process.stdout.write(`${mutants.length} changes in ${paths.length} files, ${runs.length} runs of cases\n`);

async function restart(from) {
  child.kill('SIGKILL');
  return start(from);
}

const isConstant = ({ number }) => loaded.includes(number);
/** By what else in its file a case, or a test, meets a change: of constants nothing tells who uses them. */
const beside = (mutant) =>
  isConstant(mutant)
    ? mutants.filter((other) => other.path === mutant.path && !isConstant(other)).map(({ number }) => number)
    : [mutant.number];

/** What noticed it, or undefined. */
async function byCases(mutant) {
  const { number } = mutant;
  const near = new Set(beside(mutant));
  const mine = runs.filter(({ reached }) => reached.some((other) => near.has(other)));
  if (mine.length === 0) return undefined;
  const isLoaded = isConstant(mutant);
  if (isLoaded && !(await restart(number))) {
    await start();
    return 'loading it';
  }
  const answer = await ask({ number, runs: inOrder(mine) }, SILENCE_MS);
  if (answer === undefined || isLoaded) await restart();
  return answer === undefined ? 'its silence' : (answer.noticed ?? undefined);
}

const byUnitTests = async (mutant) =>
  (await unitTests.notice(mutant.number, beside(mutant))) ? 'the unit tests' : undefined;

/** A constant costs every case a new start, and the unit tests one anyway; some test may use it from elsewhere. */
async function notice(mutant) {
  if (!isConstant(mutant)) return (await byCases(mutant)) ?? (await byUnitTests(mutant));
  const near = (await byUnitTests(mutant)) ?? (await byCases(mutant));
  if (near !== undefined) return near;
  return (await unitTests.noticeAnywhere(mutant.number)) ? 'the unit tests' : undefined;
}

const survivors = [];
const equivalents = [];
let noticed = 0;
for (const mutant of sampled(mutants)) {
  const why = whyEquivalent(mutant);
  if (why !== undefined) {
    equivalents.push(mutant);
    continue;
  }
  const by = await notice(mutant);
  if (by === undefined) {
    survivors.push(mutant);
    process.stdout.write(`SURVIVES ${show(mutant)}\n`);
  } else {
    noticed++;
    if (values.verbose) process.stdout.write(`noticed ${show(mutant)} by ${by}\n`);
  }
}
process.stdout.write(`noticed ${noticed}, equivalent ${equivalents.length}, survivors ${survivors.length}\n`);
child.removeAllListeners();
child.kill();
await rm(directory, { recursive: true, force: true });
process.exitCode = survivors.length === 0 ? 0 : 1;
