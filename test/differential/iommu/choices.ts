/** Which object, which IOVAs, which memory: choices that iommufd's and VFIO's commands make. */

import fc from 'fast-check';
import { MOCK_APERTURE_START } from '../../../lib/abi/iommufd-test.ts';
import { PAGE_SIZE } from '../../../lib/abi/linux.ts';
import { mostly, pick, range, rangeChoice, which } from '../choices.ts';
import type { Place, World } from '../world.ts';
import { type Area, type Iommufd, type ObjectKind, objectsOf, type Space } from './world.ts';

const PAGE = BigInt(PAGE_SIZE);

export interface IdChoice {
  readonly which: number;
  readonly odd: number;
}

/** What must be 0. */
export const reserved = mostly([0], [1], 24);

/** What a struct claims to be long. */
export const argszOf = (size: number): fc.Arbitrary<number> => mostly([size], [0, size - 1, size + 8], 20);

const ODD_IDS = [0, 9999, 0xffff_ffff, 'any'] as const;

/** 0 is the usual one: an object of the right kind. */
export const idChoice: fc.Arbitrary<IdChoice> = fc.record({ which, odd: mostly([0], [1, 2, 3, 4], 14) });

/** Undefined where there is no object. */
export function pickId(of: Iommufd, choice: IdChoice, ...kinds: readonly ObjectKind[]): number | undefined {
  const odd = choice.odd === 0 ? undefined : ODD_IDS[choice.odd - 1];
  if (typeof odd === 'number') return odd;
  const objects = odd === 'any' ? [...of.objects.values()] : objectsOf(of, ...kinds);
  return objects.length === 0 ? undefined : pick(objects, choice.which).id;
}

/** A page table that tracks writes, most of the time where there is one. */
export function pickTracking(of: Iommufd, choice: IdChoice, inSmallPages = false): number | undefined {
  const tracking = objectsOf(of, 'hwpt').filter(
    ({ tracks }) => tracks !== undefined && (!inSmallPages || of.objects.get(tracks)?.smallPages),
  );
  if (choice.odd !== 0 || choice.which % 8 === 7 || tracking.length === 0) return pickId(of, choice, 'hwpt');
  return pick(tracking, choice.which).id;
}

/** All iommufd knows lies in so many pages, so that calls meet. */
const PAGES = 20;
/** Small enough for several. */
const MOST_MAPPED = 5n * PAGE;
const BASE = MOCK_APERTURE_START;

/** Ends of apertures, and where interrupts go. */
const ODD_IOVAS = [
  0n,
  2048n,
  MOCK_APERTURE_START - PAGE,
  (1n << 31n) - PAGE,
  1n << 31n,
  0xfedf_f000n,
  0xfee0_0000n,
  0xfef0_0000n,
  (1n << 39n) - PAGE,
  1n << 39n,
  (1n << 63n) - 1n,
  (1n << 64n) - PAGE,
];

const PARTS = ['all', 'head', 'tail', 'middle', 'around', 'to the next'] as const;

export const iovaChoice = fc.record({
  area: mostly([0], [1, 2, 3, 4], 2),
  part: mostly(['all'], PARTS.slice(1), 2) as fc.Arbitrary<(typeof PARTS)[number]>,
  range: rangeChoice,
  within: mostly([0n], [2048n, 1n, 512n], 12),
  /** One of ODD_IOVAS, counted from 1. */
  oddIova: mostly(
    [0],
    Array.from(ODD_IOVAS, (_, i) => i + 1),
    16,
  ),
});
export type IovaChoice = typeof iovaChoice extends fc.Arbitrary<infer T> ? T : never;

/** Somewhere, whatever is there. */
export function freeIova({ range: choice, within, oddIova }: IovaChoice): Area {
  const { offset, size } = range(choice, PAGES, BASE);
  const iova = oddIova === 0 ? offset : ODD_IOVAS[oddIova - 1]!;
  const length = choice.shape === 'inside' && size > MOST_MAPPED ? MOST_MAPPED : size;
  return { iova: BigInt.asUintN(64, iova + within), length };
}

/** Part of what is mapped, or more; elsewhere now and then. */
export function mappedIova(choice: IovaChoice, space: Space): Area {
  const { iova, length } = meant(choice, space);
  return { iova: BigInt.asUintN(64, iova), length: BigInt.asUintN(64, length) };
}

function meant(choice: IovaChoice, { areas }: Space): Area {
  if (choice.area === 4 || areas.length === 0 || choice.oddIova !== 0) return freeIova(choice);
  const sorted = [...areas].sort((a, b) => (a.iova < b.iova ? -1 : 1));
  const nth = choice.range.start % sorted.length;
  const { iova, length } = sorted[nth]!;
  const half = ((length / 2n + PAGE - 1n) / PAGE) * PAGE;
  const within = choice.within;
  switch (choice.part) {
    case 'all':
      return { iova, length: within > 0n && within < length ? length - within : length };
    case 'head':
      return { iova, length: half };
    case 'tail':
      return { iova: iova + half - within, length: length - half + within };
    case 'middle':
      return { iova: iova + PAGE, length: PAGE };
    case 'around':
      return { iova: iova - PAGE, length: length + 2n * PAGE };
    case 'to the next': {
      const next = sorted[(nth + 1) % sorted.length]!;
      const end = next.iova + next.length;
      return { iova, length: end > iova ? end - iova : length };
    }
  }
}

export const memoryChoice = fc.record({
  which,
  page: fc.nat(15),
  within: mostly([0n], [2048n, 7n], 10),
  none: fc.nat(15),
});
export type MemoryChoice = typeof memoryChoice extends fc.Arbitrary<infer T> ? T : never;

/** No address of a process. */
const NOT_CANONICAL = 1n << 62n;
/** Nothing is as long. */
const HUGE = 1n << 30n;

export interface Memory {
  readonly place: Place;
  readonly length: bigint;
  readonly text: string;
}

/** Memory for a mapping of this length, which is cut where the memory ends: behind it is what the process lives on. */
export function memoryFor(world: World, { which: nth, page, within, none }: MemoryChoice, length: bigint): Memory {
  if (length >= HUGE) return nowhere(NOT_CANONICAL, length);
  const mapping = none === 15 ? undefined : world.mapping(nth);
  if (!mapping || mapping.pages === 0) return nowhere(BigInt(page % 4) * PAGE + within, length);
  const offset = BigInt(page % mapping.pages) * PAGE + within;
  const room = BigInt(mapping.pages) * PAGE - offset;
  return {
    place: { mapping, offset },
    length: length > room ? room : length,
    text: `${mapping.name} + 0x${offset.toString(16)}`,
  };
}

const nowhere = (offset: bigint, length: bigint): Memory => ({
  place: { mapping: undefined, offset },
  length,
  text: `nowhere + 0x${offset.toString(16)}`,
});

/** From now on a kernel may look for it there. */
export function hold({ place: { mapping } }: Memory): void {
  if (mapping) mapping.held = true;
}
