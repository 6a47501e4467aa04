/** scripts/differential: the mock held against a real kernel, call by call. */

import { BackendUnavailableError } from '../../lib/syscalls/unavailable.ts';
import { explore } from './explore.ts';
import { type Family, type FamilyName, families } from './families.ts';
import { type OpenKernels, openKernels } from './kernels.ts';
import { type Options, readOptions, usage } from './options.ts';

/** Fewer steps need not reach every answer. */
const ENOUGH_STEPS = 20_000;

const since = (begun: number): string => ((Date.now() - begun) / 1000).toFixed(1);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

type Limits = Pick<Options, 'steps' | 'seed' | 'differences'>;

async function compareAll({ families, backend, ...limits }: Options): Promise<number> {
  await using kernels = await openKernels(backend);
  for (const line of kernels.about) say(line);
  const statuses = families.map((family) => compare(kernels, family, limits));
  return statuses.includes(1) ? 1 : Math.max(...statuses);
}

function compare(kernels: OpenKernels, family: FamilyName, { steps, seed, differences: most }: Limits): number {
  const { commands, opening, missing: lacks }: Family = families[family];
  const lacking = lacks(kernels.facts);
  if (lacking !== undefined) {
    say(`skipped: no ${lacking}`);
    return 4;
  }
  say(`family ${family}, seed ${seed}, ${steps} steps`);
  const begun = Date.now();
  const { coverage, runs, differences } = explore(kernels, {
    commands,
    opening,
    steps,
    seed,
    differences: most,
    onDifference: ({ message }) => say(message),
  });
  for (const line of coverage.lines(commands)) say(`  ${line}`);
  if (differences.length > 0) {
    say(
      `${differences.length} different in ${coverage.steps} steps, ${since(begun)} s; --family ${family} --seed ${seed} --steps ${steps} repeats it`,
    );
    return 1;
  }
  const missing = steps >= ENOUGH_STEPS ? coverage.missing(commands, kernels.facts) : [];
  for (const answer of missing) say(`never seen: ${answer}`);
  say(`${coverage.steps} steps in ${runs} runs, ${since(begun)} s: no difference`);
  return missing.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  try {
    return await compareAll(options);
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    say(`skipped: ${error.message}`);
    return 4;
  }
}

process.exitCode = await main();
