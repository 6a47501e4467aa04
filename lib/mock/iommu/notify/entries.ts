/** Large entries of page tables, as they map a guest_memfd: its memory is taken to be contiguous, huge pages or not. */

import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Format } from '../hardware/format.ts';
import type { Area } from '../iova/area.ts';
import type { Interval } from '../iova/interval-map.ts';
import type { GuestMemfdPages } from '../pages/guest-memfd-pages.ts';

/** The entry of more than a page that has addresses on both sides of `at`, if one does. */
export function entryAround(
  { pageSizes }: Format,
  area: Area,
  pages: GuestMemfdPages,
  at: bigint,
): Interval | undefined {
  const toFile = pages.origin + area.startByte - area.start;
  for (let size = largest(pageSizes); size > BigInt(PAGE_SIZE); size >>= 1n) {
    if (!(pageSizes & size)) continue;
    const start = at - (at % size);
    const last = start + size - 1n;
    if (start < area.start || last > area.last || (start + toFile) % size !== 0n) continue;
    return start < at ? { start, last } : undefined;
  }
  return undefined;
}

const largest = (pageSizes: bigint): bigint => 1n << BigInt(pageSizes.toString(2).length - 1);
