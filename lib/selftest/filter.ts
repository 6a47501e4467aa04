/** Which cases and which of their variants are to run. */

import type { AnyCase } from './case.ts';
import { matches } from './glob.ts';

/** Patterns as in a shell (`*`, `?`), each list meaning "any of these". */
export interface Filter {
  readonly names?: readonly string[];
  readonly notNames?: readonly string[];
  readonly variants?: readonly string[];
  readonly notVariants?: readonly string[];
}

/** One run of a case: the case with one of its variants. */
export interface Entry {
  readonly definition: AnyCase;
  /** `name`, or `name.variant`. */
  readonly title: string;
  readonly variant?: string;
  readonly value: unknown;
}

const anyOf = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matches(pattern, name));

/** A case without variants passes the variant filters only where none is asked for by name. */
export function select(cases: readonly AnyCase[], filter: Filter = {}): Entry[] {
  const { names, notNames = [], variants, notVariants = [] } = filter;
  return cases
    .filter(({ name }) => (!names || anyOf(names, name)) && !anyOf(notNames, name))
    .flatMap(entries)
    .filter(({ variant }) => !variants || (variant !== undefined && anyOf(variants, variant)))
    .filter(({ variant }) => variant === undefined || !anyOf(notVariants, variant));
}

function entries(definition: AnyCase): Entry[] {
  const { name, variants } = definition;
  if (!variants) return [{ definition, title: name, value: undefined }];
  return Object.entries(variants).map(([variant, value]) => ({
    definition,
    title: `${name}.${variant}`,
    variant,
    value,
  }));
}

/** The patterns that match no case or variant at all: misspelt, most likely. */
export function unmatched(cases: readonly AnyCase[], filter: Filter): string[] {
  const names = cases.map(({ name }) => name);
  const variants = cases.flatMap((definition) => Object.keys(definition.variants ?? {}));
  const misses = (patterns: readonly string[] = [], among: readonly string[]): string[] =>
    patterns.filter((pattern) => !among.some((name) => matches(pattern, name)));
  return [
    ...misses(filter.names, names),
    ...misses(filter.notNames, names),
    ...misses(filter.variants, variants),
    ...misses(filter.notVariants, variants),
  ];
}
