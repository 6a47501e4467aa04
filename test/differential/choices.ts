/** Choices that several commands make: small numbers that shrink towards 0, and what they mean in a world. */

import fc from 'fast-check';
import { PAGE_SIZE } from '../../lib/abi/linux.ts';

const PAGE = BigInt(PAGE_SIZE);
const U64 = (1n << 64n) - 1n;

/** Which of several things; taken modulo their number. */
export const which = fc.nat(23);

export const pick = <T>(list: readonly T[], nth: number): T => list[nth % list.length]!;

/** True once in so many times. */
export const oneIn = (times: number): fc.Arbitrary<boolean> => fc.nat(times - 1).map((n) => n === times - 1);

/** One value nearly always, one of the others now and then. */
export const mostly = <T>(usual: readonly T[], unusual: readonly T[], times = 8): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: times - 1, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...unusual) },
  );

export interface RangeChoice {
  readonly shape: 'inside' | 'whole' | 'over the end' | 'odd start' | 'odd size' | 'odd';
  readonly start: number;
  readonly size: number;
}

export interface ByteRange {
  readonly offset: bigint;
  readonly size: bigint;
}

const small = fc.nat(31);

export const rangeChoice: fc.Arbitrary<RangeChoice> = fc.record({
  shape: fc.oneof(
    { weight: 16, arbitrary: fc.constant('inside' as const) },
    { weight: 2, arbitrary: fc.constant('whole' as const) },
    { weight: 4, arbitrary: fc.constantFrom('over the end', 'odd start', 'odd size', 'odd' as const) },
  ) as fc.Arbitrary<RangeChoice['shape']>,
  start: small,
  size: small,
});

/** Where arithmetic goes wrong: around the end, around half a page, around 2^63 and 2^64. */
const oddNumbers = (end: bigint): readonly bigint[] => [
  0n,
  1n,
  PAGE - 1n,
  PAGE + 1n,
  end - 1n,
  end,
  end + 1n,
  end + PAGE,
  (1n << 63n) - PAGE,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 63n) + PAGE,
  U64 - PAGE + 1n,
  U64,
];

/** A range of something that has `pages` pages and begins at `base`. No whole page beyond the first `limit` is inside. */
export function range({ shape, start, size }: RangeChoice, pages: number, base = 0n, limit = 64): ByteRange {
  const end = base + BigInt(pages) * PAGE;
  const reach = Math.min(pages, limit);
  const first = base + BigInt(start % reach) * PAGE;
  const inside = BigInt(1 + (size % (reach - (start % reach)))) * PAGE;
  switch (shape) {
    case 'inside':
      return { offset: first, size: inside };
    case 'whole':
      return { offset: base, size: BigInt(pages) * PAGE };
    case 'over the end':
      return { offset: end - BigInt(Math.min(start % 3, pages)) * PAGE, size: BigInt(1 + (size % 4)) * PAGE };
    case 'odd start':
      return { offset: pick(oddNumbers(end), start), size: inside };
    case 'odd size':
      return { offset: first, size: pick(oddNumbers(end), size) };
    case 'odd':
      return { offset: pick(oddNumbers(end), start), size: pick(oddNumbers(end), size) };
  }
}

export const pagesIn = ({ size }: ByteRange): bigint => (size + PAGE - 1n) / PAGE;

export const hex = (value: bigint | number): string => `${value < 0 ? '-' : ''}0x${abs(value).toString(16)}`;
const abs = (value: bigint | number): bigint | number => (value < 0 ? -value : value);
