/** One run: choices are made calls one after the other, each on both kernels, until they disagree. */

import type { Call, Command } from './command.ts';
import type { Coverage } from './coverage.ts';
import { addressSpaces } from './iommu/sweep.ts';
import { type Seen, same, show } from './seen.ts';
import type { Side } from './side.ts';
import { everything, hostMemory } from './sweep.ts';
import { type Facts, World } from './world.ts';

export interface Step {
  readonly command: Command;
  readonly choice: unknown;
}

export interface Sequence {
  /**
   * Whether all memory is looked at after every step. Looking touches pages that nobody had touched yet, so not every
   * sequence is watched like that.
   */
  readonly watched: boolean;
  readonly steps: readonly Step[];
}

export interface Kernels {
  readonly facts: Facts;
  readonly real: Side;
  /** A new one for each run. */
  mock(): Side;
  /** What the sides are called in reports. */
  readonly names: readonly [string, string];
}

/** One call with both answers. */
export interface Made {
  readonly text: string;
  readonly answers: readonly [Seen, Seen];
}

export class Difference extends Error {
  readonly made: readonly Made[];
  /** How many steps of the sequence it took. */
  readonly steps: number;

  constructor(names: readonly [string, string], made: readonly Made[], steps: number) {
    super(`the kernels differ:\n${report(names, made)}`);
    this.made = made;
    this.steps = steps;
  }

  /** The last call without its arguments, and its answers. */
  get kind(): string {
    const { text, answers } = this.made.at(-1)!;
    return [text.split('(')[0]!.replace(/\d/g, ''), ...answers.map(({ ret }) => ret)].join(' ');
  }
}

/** The calls in order with both answers; of those before the last they are the same. */
function report(names: readonly [string, string], made: readonly Made[]): string {
  const width = Math.max(...names.map((name) => name.length));
  const lines = made.map(({ text, answers: [one, other] }, i) => {
    const call = `${String(i + 1).padStart(3)}. ${text}`;
    if (i < made.length - 1) return `${call}  ->  ${show(one, one)}`;
    return `${call}\n     ${names[0].padEnd(width)}  ->  ${show(one, other)}\n     ${names[1].padEnd(width)}  ->  ${show(other, one)}`;
  });
  return lines.join('\n');
}

class Pair {
  readonly world: World;
  readonly made: Made[] = [];
  /** Steps of the sequence so far. */
  steps = 0;
  readonly #sides: readonly [Side, Side];
  readonly #names: readonly [string, string];

  constructor(kernels: Kernels) {
    this.world = new World(kernels.facts);
    this.#sides = [kernels.real, kernels.mock()];
    this.#names = kernels.names;
  }

  /** @throws Difference */
  make(call: Call): Seen {
    const answers: [Seen, Seen] = [call.run(this.#sides[0]), call.run(this.#sides[1])];
    this.made.push({ text: call.text, answers });
    if (!same(...answers)) throw new Difference(this.#names, this.made, this.steps);
    call.agreed?.(answers[0]);
    return answers[0];
  }

  clear(): void {
    for (const side of this.#sides) side.clear();
    this.#sides[1].syscalls.dispose();
  }
}

/** Steps that make no sense where they stand are left out. @throws Difference */
export function run(kernels: Kernels, { steps, watched }: Sequence, coverage?: Coverage): void {
  const pair = new Pair(kernels);
  try {
    for (const { command, choice } of steps) {
      pair.steps++;
      const call = command.prepare(pair.world, choice);
      if (!call) continue;
      const { ret } = pair.make(call);
      coverage?.count(command.name, ret);
      if (watched) look(pair);
    }
    for (const call of everything(pair.world)) pair.make(call);
  } finally {
    pair.clear();
  }
}

/** As a step of its own it shows in a report only where it found the difference. */
function look(pair: Pair): void {
  for (const call of [hostMemory(pair.world), ...addressSpaces(pair.world)]) {
    pair.make(call);
    pair.made.pop();
  }
}
