/** Steps as lines of a report. */

import type { JournalEntry } from '../mock/index.ts';

/** More than these would hide the results among them. */
const LIMIT = 200;

export function stepsText(steps: readonly JournalEntry[] | string): string {
  if (typeof steps === 'string') return `steps: ${steps}`;
  if (steps.length === 0) return 'steps: none';
  const lines = steps.slice(0, LIMIT).map(line);
  const rest = steps.length - lines.length;
  return ['steps:', ...lines, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n  ');
}

const page = (number: number): string => (Number.isFinite(number) ? `0x${number.toString(16)}` : 'the end');

function line({ step, target, start, end, reason, detail }: JournalEntry): string {
  const range = `${page(start)} to ${page(end)}`;
  return [step.padEnd(16), target, range, ...[reason, detail].filter((text) => text !== undefined)].join('  ');
}
