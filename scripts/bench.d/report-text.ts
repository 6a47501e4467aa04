/** The figures for people. */

import type { Result } from './kernel.ts';
import type { MockResult } from './mock.ts';
import { operations } from './operations.ts';
import type { Report } from './report.ts';
import type { Spread } from './statistics.ts';

/** A column is as wide as its widest cell; the first is text, numbers stand to the right. */
function table(rows: readonly (readonly string[])[], textColumns: readonly number[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (textColumns.includes(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const nanoseconds = (value: number): string => (value < 100 ? value.toFixed(1) : whole(value));
const ratio = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
const around = (spread: Spread | undefined, show: (value: number) => string): string[] =>
  spread ? [show(spread.median), `${show(spread.p10)}..${show(spread.p90)}`] : ['', ''];

const judgement = (met: boolean | undefined, bound: string): string =>
  met === undefined ? '' : `${bound}: ${met ? 'met' : 'not met'}`;

/** An operation that nobody could do for one and the same reason takes one line. */
function together(results: readonly Result[]): Result[] {
  return results.flatMap((result) => {
    const all = results.filter(({ op }) => op === result.op);
    if (!all.every(({ skipped }) => skipped !== undefined && skipped === result.skipped)) return [result];
    return result === all[0] ? [{ ...result, by: 'all' }] : [];
  });
}

function kernelTable(all: readonly Result[]): string[] {
  const results = together(all);
  const heading = ['', 'ns', 'p10..p90', 'times C', 'p10..p90', 'target'];
  const rows = results.map((result) => [
    result.by,
    ...around(result.ns, nanoseconds),
    ...around(result.ratio, ratio),
    result.skipped === undefined ? judgement(result.met, `<= ${result.target}`) : `skipped: ${result.skipped}`,
  ]);
  const lines = table([heading, ...rows], [0, 5]);
  const out = [lines[0]!];
  results.forEach((result, i) => {
    if (result.op !== results[i - 1]?.op) out.push(`${result.op}: ${operations[result.op]}`);
    out.push(lines[i + 1]!);
  });
  return out;
}

function mockTable(results: readonly MockResult[]): string[] {
  const heading = [
    'mock',
    'ranges',
    'slots',
    'conversions/s',
    'ns',
    'p10..p90',
    'heap/range',
    'growth from 1,000',
    'target',
  ];
  const rows = results.map(
    ({ kernel, ranges, slots, ns, conversionsPerSecond, heapBytesPerRange, growth, met, target }) => [
      kernel,
      whole(ranges),
      whole(slots),
      whole(conversionsPerSecond),
      ...around(ns, nanoseconds),
      heapBytesPerRange === undefined ? '' : `${whole(heapBytesPerRange)} B`,
      growth === undefined ? '' : ratio(growth.median),
      judgement(met, `>= ${whole(target ?? 0)}/s`),
    ],
  );
  return table([heading, ...rows], [0, 8]);
}

export function toText({ machine, results, mock }: Report): string {
  const { cpu, cores, kernel, node, load } = machine;
  const lines = [`${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}, load ${load.toFixed(1)}`];
  if (results.length > 0) lines.push('', ...kernelTable(results));
  if (mock.length > 0) lines.push('', ...mockTable(mock));
  return `${lines.join('\n')}\n`;
}
