/** A rule that holds between any two calls, whatever they were. */

import type { Machine } from '../kvm/index.ts';

export interface Rule {
  readonly name: string;
  /** What is wrong, each in a sentence; nothing where the rule holds. */
  broken(machine: Machine): Iterable<string>;
}

export const page = (number: number): string => `page ${number}`;
