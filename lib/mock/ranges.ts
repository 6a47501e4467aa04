/** A range of pages: [start, end), in page numbers. */
export interface PageRange {
  readonly start: number;
  readonly end: number;
}

export const PAGE_SHIFT = 12;

/** A page-aligned byte quantity in pages. Page numbers of any 64-bit file fit a number exactly. */
export const toPages = (bytes: bigint): number => Number(bytes >> 12n);
export const toBytes = (pages: number): bigint => BigInt(pages) << 12n;
export const isAligned = (bytes: bigint): boolean => (bytes & 0xfffn) === 0n;

export function intersect(a: PageRange, b: PageRange): PageRange | undefined {
  const start = Math.max(a.start, b.start);
  const end = Math.min(a.end, b.end);
  return start < end ? { start, end } : undefined;
}

/** The smallest range that holds both. */
export const union = (a: PageRange, b: PageRange): PageRange => ({
  start: Math.min(a.start, b.start),
  end: Math.max(a.end, b.end),
});

/** The range in whole blocks of `pages` pages: what it touches of them. */
export const roundOut = ({ start, end }: PageRange, pages: number): PageRange => ({
  start: start - (start % pages),
  end: Math.ceil(end / pages) * pages,
});

/** Whether offset + size leaves the 64-bit numbers, as C's unsigned addition would hide. */
export const wraps = (offset: bigint, size: bigint): boolean => offset + size > 0xffff_ffff_ffff_ffffn;
