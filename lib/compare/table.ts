/** The rows for people: one table for each workload, and one of what each design comes to in all of them. */

import type { PlatformName } from '../mock/index.ts';
import type { Row } from './compare.ts';
import type { DesignName } from './designs.ts';

const MIB = 1024 * 1024;
const KIB = 1024;

const bytesText = (bytes: number): string => {
  if (bytes === 0) return '0';
  return bytes % MIB === 0 || bytes >= 16 * MIB ? `${Math.round(bytes / MIB)} MiB` : `${Math.round(bytes / KIB)} KiB`;
};

type Columns<R> = readonly (readonly [title: string, cell: (row: R) => string | number])[];

const COLUMNS: Columns<Row> = [
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

/** One design over several rows. */
interface Sum {
  readonly design: DesignName;
  readonly rows: readonly Row[];
}

type Count = 'refused' | 'maps' | 'unmaps' | 'kernelUnmaps' | 'splits' | 'hazards' | 'contained' | 'lost';

const total =
  (count: Count) =>
  ({ rows }: Sum): number =>
    rows.reduce((sum, row) => sum + row[count], 0);

function diedOn({ rows }: Sum): string {
  const platforms = rows.filter(({ machineCheck }) => machineCheck !== undefined).map(({ platform }) => platform);
  return [...new Set<PlatformName>(platforms)].join(', ') || '-';
}

const SUM_COLUMNS: Columns<Sum> = [
  ['design', ({ design }) => design],
  ['refused', total('refused')],
  ['maps', total('maps')],
  ['unmaps', total('unmaps')],
  ['by kernel', total('kernelUnmaps')],
  ['splits', total('splits')],
  ['peak pinned', ({ rows }) => bytesText(Math.max(...rows.map(({ peakPinnedBytes }) => peakPinnedBytes)))],
  ['hazards', total('hazards')],
  ['host died on', diedOn],
  ['contained', total('contained')],
  ['lost DMA', total('lost')],
];

export function rowsText(rows: readonly Row[]): string {
  const tables = [...new Set(rows.map(({ workload }) => workload))].map((name) => {
    const own = rows.filter(({ workload }) => workload === name);
    return tableText(`workload ${name}`, COLUMNS, own, 2);
  });
  const designs = [...new Set(rows.map(({ design }) => design))];
  // A sum of one is no news.
  if (rows.length > designs.length) {
    const sums = designs.map((design) => ({ design, rows: rows.filter((row) => row.design === design) }));
    tables.push(tableText('in all', SUM_COLUMNS, sums, 1));
  }
  return tables.join('\n\n');
}

/** `names`: how many columns are names, which are aligned left; figures are aligned right. */
function tableText<R>(title: string, columns: Columns<R>, rows: readonly R[], names: number): string {
  const lines = [columns.map(([heading]) => heading), ...rows.map((row) => columns.map(([, cell]) => `${cell(row)}`))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const text = lines.map((line) =>
    line.map((cell, i) => (i < names ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  return [title, ...text].join('\n');
}
