import { describe, expect, it } from 'vitest';
import { main } from '../../lib/cli/main.ts';
import { designNames, type Row } from '../../lib/compare/index.ts';
import { platformNames } from '../../lib/mock/index.ts';

const SMALL = ['--size', '16', '--conversions', '12'];

async function gmem(...words: string[]) {
  let out = '';
  let error = '';
  const code = await main(['compare', ...words], {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    env: {},
    signal: new AbortController().signal,
  });
  return { code, out, error };
}

async function rowsOf(...words: string[]): Promise<Row[]> {
  const { code, out, error } = await gmem(...SMALL, '--json', ...words);
  expect([code, error]).toEqual([0, '']);
  return (JSON.parse(out) as { rows: Row[] }).rows;
}

describe.each([
  ['rfc-v2', '1'],
  ['rfc-v2', '77'],
  ['inplace-v13', '4000000000'],
])('gmem compare on %s with seed %s', (kernel, seed) => {
  it('shows what each design refuses and risks, and its figures add up', async () => {
    const rows = await rowsOf('--kernel', kernel, '--seed', seed);
    expect(rows.length).toBe(2 * platformNames.length * designNames.length);
    for (const row of rows) {
      const { design, platform, workload } = row;
      const title = `${workload} ${platform} ${design}`;
      expect(row.refused > 0, title).toBe(design === 'pin');
      expect(row.staleWindows > 0, title).toBe(design === 'trust-vmm');
      expect(row.hazards > 0, title).toBe(design === 'trust-vmm' && platform !== 'sev-snp');
      expect(row.machineCheck !== undefined, title).toBe(design === 'trust-vmm' && platform === 'tdx');
      expect(row.converted < row.requests, title).toBe(row.machineCheck !== undefined);
      expect(row.peakPinnedBytes > 0, title).toBe(design === 'pin' || design === 'guest-ram');
      expect(row.pinnedBytesAtEnd, title).toBe(0);
      expect(row.unmappedBytes, title).toBe(row.mappedBytes);
      expect(row.mappedBytes, title).toBeGreaterThan(0);
    }
  });
});

it('says the same for the same seed, and something else for another', async () => {
  const words = [...SMALL, '--workload', 'steady', '--platform', 'tdx', '--policy', 'notifier', '--seed'];
  const first = await gmem(...words, '5');
  expect(first.out).toMatch(/^kernel rfc-v2, 16 MiB, 12 conversions, seed 5\n/);
  expect(await gmem(...words, '5')).toEqual(first);
  const figures = (out: string): string => out.slice(out.indexOf('workload'));
  expect(figures((await gmem(...words, '6')).out)).not.toBe(figures(first.out));
});

it.each([
  [['--kernel', 'linux-7.3'], /unknown kernel 'linux-7\.3'; there is rfc-v2, inplace-v13/],
  [['--policy', 'hope'], /unknown policy 'hope'; there is pin, trust-vmm, /],
  [['--workload', 'nap'], /unknown workload 'nap'/],
  [['--size', '24'], /--size takes a power of two; got '24'/],
  [['--size', '8'], /--size takes a whole number from 16 to 1024; got '8'/],
  [['--conversions', '1e3'], /--conversions takes a whole number/],
  [['--seed', '4294967296'], /--seed takes a whole number/],
])('refuses %j', async (words, message) => {
  const { code, out, error } = await gmem(...words);
  expect([code, out]).toEqual([2, '']);
  expect(error).toMatch(message);
});

it('prints JSON of one shape', async () => {
  const words = ['--kernel', 'rfc-v2', '--workload', 'boot', '--platform', 'tdx', '--seed', '3', '--json'];
  const { out } = await gmem(...SMALL, ...words);
  const document = JSON.parse(out) as { rows: Record<string, unknown>[] };
  expect(document).toMatchObject({ kernel: 'rfc-v2', size: 16 * 1024 * 1024, conversions: 12, seed: 3 });
  expect(Object.keys(document)).toEqual(['kernel', 'size', 'conversions', 'seed', 'rows']);
  const numbers = [
    'requests',
    'converted',
    'refused',
    'maps',
    'unmaps',
    'kernelUnmaps',
    'mappedBytes',
    'unmappedBytes',
    'splits',
    'staleWindows',
    'stalePageTransfers',
    'keptMappings',
    'hazards',
    'contained',
    'stopped',
    'transfers',
    'lost',
    'peakPinnedBytes',
    'pinnedBytesAtEnd',
  ];
  expect(document.rows.map(({ design }) => design)).toEqual(designNames);
  for (const { workload, platform, design, machineCheck, ...figures } of document.rows) {
    expect([workload, platform]).toEqual(['boot', 'tdx']);
    expect(machineCheck).toEqual(design === 'trust-vmm' ? expect.stringMatching(/shared mapping/) : undefined);
    expect(Object.keys(figures).sort()).toEqual(numbers.toSorted());
    for (const value of Object.values(figures)) expect(value).toSatisfy((n) => Number.isSafeInteger(n) && n >= 0);
  }
});

it('sums up what each design comes to, where there is more than one row of it', async () => {
  const { out } = await gmem(...SMALL, '--workload', 'steady');
  const lines = out.slice(out.indexOf('in all')).trim().split('\n').slice(1);
  const [titles, ...rows] = lines.map((line) => line.trim().split(/ {2,}/));
  const of = (design: string, title: string) => rows.find(([name]) => name === design)?.[titles!.indexOf(title)];
  expect(Number(of('pin', 'refused'))).toBeGreaterThan(0);
  expect([of('trust-vmm', 'refused'), of('trust-vmm', 'host died on')]).toEqual(['0', 'tdx']);
  for (const title of ['refused', 'hazards', 'host died on', 'lost DMA', 'peak pinned']) {
    expect(of('notifier', title), title).toBe(title === 'host died on' ? '-' : '0');
  }
  const one = await gmem(...SMALL, '--workload', 'steady', '--platform', 'tdx');
  expect(one.out).not.toContain('in all');
});
