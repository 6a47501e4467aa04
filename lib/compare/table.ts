/** The rows for people: one table for each workload. */

import type { Row } from './compare.ts';

const MIB = 1024 * 1024;
const KIB = 1024;

const bytesText = (bytes: number): string => {
  if (bytes === 0) return '0';
  return bytes % MIB === 0 || bytes >= 16 * MIB ? `${Math.round(bytes / MIB)} MiB` : `${Math.round(bytes / KIB)} KiB`;
};

const COLUMNS: readonly (readonly [title: string, cell: (row: Row) => string | number])[] = [
  ['platform', ({ platform }) => platform],
  ['design', ({ design }) => design],
  ['converted', ({ converted, requests }) => (converted === requests ? converted : `${converted} of ${requests}`)],
  ['refused', ({ refused }) => refused],
  ['maps', ({ maps }) => maps],
  ['unmaps', ({ unmaps }) => unmaps],
  ['by kernel', ({ kernelUnmaps }) => kernelUnmaps],
  ['mapped', ({ mappedBytes }) => bytesText(mappedBytes)],
  ['splits', ({ splits }) => splits],
  ['peak pinned', ({ peakPinnedBytes }) => bytesText(peakPinnedBytes)],
  ['stale', ({ staleWindows }) => staleWindows],
  ['page x DMA', ({ stalePageTransfers }) => stalePageTransfers],
  ['hazards', ({ hazards, machineCheck }) => (machineCheck === undefined ? hazards : `${hazards}, host died`)],
  ['contained', ({ contained }) => contained],
  ['lost DMA', ({ lost }) => lost],
];

/** Names are aligned left, figures right. */
const NAMES = 2;

export function rowsText(rows: readonly Row[]): string {
  return [...new Set(rows.map(({ workload }) => workload))]
    .map((name) =>
      tableText(
        name,
        rows.filter(({ workload }) => workload === name),
      ),
    )
    .join('\n\n');
}

function tableText(title: string, rows: readonly Row[]): string {
  const lines = [COLUMNS.map(([heading]) => heading), ...rows.map((row) => COLUMNS.map(([, cell]) => `${cell(row)}`))];
  const widths = COLUMNS.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const text = lines.map((line) =>
    line.map((cell, i) => (i < NAMES ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  return [`workload ${title}`, ...text].join('\n');
}
