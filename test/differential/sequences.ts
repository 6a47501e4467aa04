/** Sequences of steps: generated, and made shorter while they still show a difference. */

import fc from 'fast-check';
import type { Command } from './command.ts';
import type { Family } from './families.ts';
import { Difference, type Kernels, run, type Sequence, type Step } from './run.ts';

/** Long enough for things to get complicated. */
const LONGEST = 160;

type Steps = Pick<Family, 'commands' | 'opening'>;

const stepOf = (command: Command): fc.Arbitrary<Step> => command.choices.map((choice) => ({ command, choice }));

/** The commands that make something to work with come first. */
function opening({ commands, opening: names }: Steps): fc.Arbitrary<Step[]> {
  const step = (name: string): fc.Arbitrary<Step>[] => commands.filter((one) => one.name === name).map(stepOf);
  return fc.tuple(...names.flatMap(step));
}

export function sequences(from: Steps): fc.Arbitrary<Sequence> {
  const step = fc.oneof(...from.commands.map((command) => ({ weight: command.weight, arbitrary: stepOf(command) })));
  const rest = fc.array(step, { minLength: LONGEST / 2, maxLength: LONGEST, size: 'max' });
  return fc.record({
    watched: fc.nat(3).map((n) => n === 3),
    steps: fc.tuple(opening(from), rest).map(([first, then]) => [...first, ...then]),
  });
}

/** The difference a sequence shows; what else goes wrong is thrown. */
export function differenceOf(kernels: Kernels, sequence: Sequence): Difference | undefined {
  try {
    run(kernels, sequence);
    return undefined;
  } catch (error) {
    if (error instanceof Difference) return error;
    throw error;
  }
}
