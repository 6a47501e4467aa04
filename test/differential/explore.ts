/** As many steps as asked for; the first difference is made short and handed back. */

import fc from 'fast-check';
import { Coverage } from './coverage.ts';
import type { Family } from './families.ts';
import { Difference, type Kernels, run, type Sequence } from './run.ts';
import { differenceOf, sequences } from './sequences.ts';
import { shrink } from './shrink.ts';

export interface Explored {
  readonly coverage: Coverage;
  readonly runs: number;
  /** Each made short, where it shows a second time; two that end in the same call with the same answers count as one. */
  readonly differences: readonly Difference[];
}

export interface ExploreOptions extends Pick<Family, 'commands' | 'opening'> {
  readonly steps: number;
  readonly seed: number;
  /** After so many the search ends. */
  readonly differences: number;
  /** Told of each as it is found. */
  readonly onDifference?: (difference: Difference) => void;
}

const RUNS_AT_ONCE = 20;

export function explore(kernels: Kernels, options: ExploreOptions): Explored {
  const { steps, seed, differences, onDifference } = options;
  const coverage = new Coverage();
  const found = new Map<string, Difference>();
  const arbitrary = sequences(options);
  let runs = 0;
  while (coverage.steps < steps && found.size < differences) {
    const first = firstDifferent(kernels, arbitrary, seed + runs, () => coverage.steps >= steps, coverage);
    runs += RUNS_AT_ONCE;
    if (first) {
      const short = shortest(kernels, first.sequence) ?? first.difference;
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
): { sequence: Sequence; difference: Difference } | undefined {
  const property = fc.property(arbitrary, (sequence) => {
    if (!enough()) run(kernels, sequence, coverage);
  });
  const { counterexample, errorInstance } = fc.check(property, { seed, numRuns: RUNS_AT_ONCE, endOnFailure: true });
  if (counterexample === null) return undefined;
  if (!(errorInstance instanceof Difference)) throw errorInstance;
  return { sequence: counterexample[0], difference: errorInstance };
}

/** Enough for any sequence where runs are quick. */
const MOST_TRIES = 1_000;
/** Where they are not, what is short enough by then is the answer. */
const LONGEST_SHRINKING_MS = 30_000;

/** Undefined where it does not show a second time. */
function shortest(kernels: Kernels, sequence: Sequence): Difference | undefined {
  let best = differenceOf(kernels, sequence);
  if (!best) return undefined;
  let tries = 0;
  const end = performance.now() + LONGEST_SHRINKING_MS;
  const goesOn = (): boolean => tries++ < MOST_TRIES && performance.now() < end;
  shrink({ ...sequence, steps: sequence.steps.slice(0, best.steps) }, (shorter) => {
    const found = goesOn() ? differenceOf(kernels, shorter) : undefined;
    // Another difference than the one that was found may be a long way from it.
    if (found?.kind !== best?.kind) return false;
    best = found;
    return true;
  });
  return best;
}
