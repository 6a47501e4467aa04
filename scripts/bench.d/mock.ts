/**
 * The mock part: conversions a second, by kernel and number of ranges. A second of processor time, of all threads
 * together: there is no C beside it to share what neighbours on the machine take.
 */

import type { ProfileName } from '../../lib/mock/index.ts';
import { type CutFile, cutFile } from './mock-file.ts';
import { type Contestant, type Pace, ratios, runRounds } from './rounds.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { mockTarget } from './targets.ts';

const KERNELS: readonly ProfileName[] = ['rfc-v2', 'inplace-v13'];
/** How the file is cut, and into how many memslots it is bound. */
const CUTS = [
  { ranges: 10, slots: 1 },
  { ranges: 1_000, slots: 1 },
  { ranges: 100_000, slots: 1 },
  { ranges: 1_000_000, slots: 1 },
  { ranges: 1_000_000, slots: 64 },
] as const;
/** Growth is told from here on: below, everything is in the processor's first cache. */
const GROWTH_FROM = 1_000;
/** What else moves on the heap is noise, which only so many ranges drown. */
const HEAP_FROM = 100_000;

export interface MockResult {
  readonly kernel: ProfileName;
  readonly ranges: number;
  readonly slots: number;
  /** Nanoseconds of processor time per conversion. */
  readonly ns: Spread;
  readonly rounds: number;
  readonly conversionsPerSecond: number;
  readonly target?: number;
  readonly met?: boolean;
  readonly heapBytesPerRange?: number;
  /** Time per conversion, as a multiple of that with `GROWTH_FROM` ranges in the same round. */
  readonly growth?: Spread;
}

interface Entry extends Contestant {
  readonly kernel: ProfileName;
  readonly ranges: number;
  readonly slots: number;
  readonly file: CutFile;
}

export async function measureMock(pace: Pace): Promise<MockResult[]> {
  // Code that is compiled while the first file is made would count as its ranges.
  await (await cutFile(KERNELS[0]!, CUTS[0].ranges, CUTS[0].slots)).close();
  const groups: Entry[][] = [];
  for (const kernel of KERNELS) {
    const group: Entry[] = [];
    for (const { ranges, slots } of CUTS) group.push(await entry(kernel, ranges, slots));
    groups.push(group);
  }
  const times = await runRounds(groups, pace);
  for (const { file } of groups.flat()) await file.close();
  return groups.flatMap((group) => group.map((one) => resultOf(one, group, times)));
}

async function entry(kernel: ProfileName, ranges: number, slots: number): Promise<Entry> {
  const file = await cutFile(kernel, ranges, slots);
  const time = async (count: number): Promise<number> => {
    const begin = process.cpuUsage();
    file.convert(count);
    const { user, system } = process.cpuUsage(begin);
    return (user + system) * 1000;
  };
  return { kernel, ranges, slots, file, unit: 1, time };
}

function resultOf(one: Entry, group: readonly Entry[], times: ReadonlyMap<Entry, number[]>): MockResult {
  const { kernel, ranges, slots, file } = one;
  const own = times.get(one)!;
  const ns = spreadOf(own);
  const conversionsPerSecond = 1e9 / ns.median;
  const target = ranges === mockTarget.ranges ? mockTarget.conversionsPerSecondAtLeast : undefined;
  const base = ranges > GROWTH_FROM ? group.find((other) => other.ranges === GROWTH_FROM) : undefined;
  return {
    kernel,
    ranges,
    slots,
    ns,
    rounds: own.length,
    conversionsPerSecond,
    ...(target !== undefined && { target, met: conversionsPerSecond >= target }),
    ...(ranges >= HEAP_FROM && { heapBytesPerRange: file.heapBytesPerRange }),
    ...(base && { growth: spreadOf(ratios(own, times.get(base)!)) }),
  };
}
