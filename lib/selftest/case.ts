/** A test case: written once, run on every backend. */

import type { T } from './context.ts';
import type { Requires } from './requires.ts';

export interface Case<V = undefined> {
  /** Unique, in words joined by '-' or '_'. */
  readonly name: string;
  /** One sentence: the rule that is tested, and where it comes from. */
  readonly about: string;
  readonly requires?: Requires | ((variant: V) => Requires);
  /** The same case with other values: each runs and is reported as `name.variant`. */
  readonly variants?: Readonly<Record<string, V>>;
  run(t: T, variant: V): Promise<unknown>;
}

// biome-ignore lint/suspicious/noExplicitAny: a list holds cases of every variant type; each is checked where it is defined.
export type AnyCase = Case<any>;

/** Checks a case's types where it is written, and lets it stand in a list with others. */
export function defineCase<V = undefined>(definition: Case<V>): AnyCase {
  return definition;
}

export function requirements(definition: AnyCase, variant: unknown): Requires {
  const { requires = {} } = definition;
  return typeof requires === 'function' ? requires(variant) : requires;
}
