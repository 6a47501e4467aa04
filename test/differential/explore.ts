/** As many steps as asked for; the first difference is made short and handed back. */

import fc from 'fast-check';
import type { Command } from './command.ts';
import { Coverage } from './coverage.ts';
import { Difference, type Kernels, run, type Sequence } from './run.ts';
import { differenceOf, sequences } from './sequences.ts';
import { shrink } from './shrink.ts';

export interface Explored {
  readonly coverage: Coverage;
  readonly runs: number;
  /** Each made short; two that end in the same call with the same answers count as one. */
  readonly differences: readonly Difference[];
}

export interface ExploreOptions {
  readonly commands: readonly Command[];
  readonly steps: number;
  readonly seed: number;
  /** After so many the search ends. */
  readonly differences: number;
  /** Told of each as it is found. */
  readonly onDifference?: (difference: Difference) => void;
}

const RUNS_AT_ONCE = 20;

export function explore(kernels: Kernels, options: ExploreOptions): Explored {
  const { commands, steps, seed, differences, onDifference } = options;
  const coverage = new Coverage();
  const found = new Map<string, Difference>();
  const arbitrary = sequences(commands);
  let runs = 0;
  while (coverage.steps < steps && found.size < differences) {
    const different = firstDifferent(kernels, arbitrary, seed + runs, () => coverage.steps >= steps, coverage);
    runs += RUNS_AT_ONCE;
    if (different) {
      const short = shortest(kernels, different);
      if (!found.has(short.kind)) onDifference?.(short);
      found.set(short.kind, short);
    }
  }
  return { coverage, runs, differences: [...found.values()] };
}

/** Some runs; the first that shows a difference ends them. */
function firstDifferent(
  kernels: Kernels,
  arbitrary: fc.Arbitrary<Sequence>,
  seed: number,
  enough: () => boolean,
  coverage: Coverage,
): Sequence | undefined {
  const property = fc.property(arbitrary, (sequence) => {
    if (!enough()) run(kernels, sequence, coverage);
  });
  const { counterexample, errorInstance } = fc.check(property, { seed, numRuns: RUNS_AT_ONCE, endOnFailure: true });
  if (counterexample === null) return undefined;
  if (!(errorInstance instanceof Difference)) throw errorInstance;
  return counterexample[0];
}

/** Enough for any sequence, also where every run takes its time. */
const MOST_TRIES = 1_000;

function shortest(kernels: Kernels, sequence: Sequence): Difference {
  let best = differenceOf(kernels, sequence);
  if (!best) throw new Error('a difference did not show a second time');
  let tries = 0;
  shrink({ ...sequence, steps: sequence.steps.slice(0, best.steps) }, (shorter) => {
    const found = tries++ < MOST_TRIES ? differenceOf(kernels, shorter) : undefined;
    // Another difference than the one that was found may be a long way from it.
    if (found?.kind !== best?.kind) return false;
    best = found;
    return true;
  });
  return best!;
}
