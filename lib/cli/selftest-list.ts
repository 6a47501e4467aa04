/** `gmem selftest -l` */

import { type Entry, type Requires, requirements } from '../selftest/index.ts';
import type { ExitCode, Io } from './io.ts';

/** Cases with their variants, what each needs, and the rule it tests. */
export function listCases(entries: readonly Entry[], io: Io, json: boolean): ExitCode {
  for (const [first, ...others] of byCase(entries)) {
    const { name, about } = first.definition;
    const variants = [first, ...others].flatMap(({ variant }) => (variant === undefined ? [] : [variant]));
    const needs = new Set(
      [first, ...others].map(({ definition, value }) => needsText(requirements(definition, value))),
    );
    if (json) io.out(`${JSON.stringify({ name, variants, needs: [...needs].filter(Boolean), about })}\n`);
    else io.out(`${[name, ...lines(variants, needs), `    ${about}`].join('\n')}\n`);
  }
  return 0;
}

function byCase(entries: readonly Entry[]): [Entry, ...Entry[]][] {
  const groups = new Map<string, [Entry, ...Entry[]]>();
  for (const entry of entries) {
    const group = groups.get(entry.definition.name);
    if (group) group.push(entry);
    else groups.set(entry.definition.name, [entry]);
  }
  return [...groups.values()];
}

function lines(variants: readonly string[], needs: ReadonlySet<string>): string[] {
  return [
    ...(variants.length > 0 ? [`    variants: ${variants.join(', ')}`] : []),
    ...[...needs].filter(Boolean).map((need) => `    needs: ${need}`),
  ];
}

function needsText(requires: Requires): string {
  return Object.entries(requires)
    .map(([key, value]) => (value === true ? key : `${key} ${text(value)}`))
    .join('; ');
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.join(' or ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, part]) => `${key} ${part}`)
    .join(', ');
}
