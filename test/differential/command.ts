/** A command: something generated calls can do. Each family is a file in `commands/`, listed in `commands/index.ts`. */

import type fc from 'fast-check';
import type { Seen } from './seen.ts';
import type { Side } from './side.ts';
import type { Facts, World } from './world.ts';

/** One call, ready to be made on either kernel. */
export interface Call {
  /** The call and its arguments, by the world's names. */
  readonly text: string;
  run(side: Side): Seen;
  /** Both kernels gave this answer: the world follows. */
  agreed?(seen: Seen): void;
}

/**
 * `Choice` is plain data without names, so that a choice means something in every world and shrinks to small numbers;
 * `prepare` finds what it stands for in this one.
 */
export interface Command<Choice = unknown> {
  readonly name: string;
  /** How often, compared with the others. */
  readonly weight: number;
  readonly choices: fc.Arbitrary<Choice>;
  /** Undefined where the choice makes no sense here. */
  prepare(world: World, choice: Choice): Call | undefined;
  /** Answers that must have been seen after some thousand steps: 'ok' and errno names. */
  readonly expects: (facts: Facts) => readonly string[];
}

/** Lets commands of all choices stand in one list. */
export const command = <Choice>(made: Command<Choice>): Command => made as unknown as Command;
