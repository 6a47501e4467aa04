/**
 * Huge page sizes, how a guest_memfd is asked for with them, and where the kernel tells of their pools.
 * Source: include/uapi/asm-generic/hugetlb_encode.h; include/uapi/linux/guestmem.h of RFC v2.
 */

import { GUEST_MEMFD_FLAG_HUGETLB, GUESTMEM_HUGETLB_FLAG_MASK, GUESTMEM_HUGETLB_FLAG_SHIFT } from './guest-memfd.ts';

/** The sizes that any architecture has, as log2 of their bytes. */
export const hugePageShifts = {
  '16K': 14,
  '64K': 16,
  '512K': 19,
  '1M': 20,
  '2M': 21,
  '8M': 23,
  '16M': 24,
  '32M': 25,
  '256M': 28,
  '512M': 29,
  '1G': 30,
  '2G': 31,
  '16G': 34,
} as const;

export type HugePageSize = keyof typeof hugePageShifts;

export const hugePageSizes = Object.keys(hugePageShifts) as readonly HugePageSize[];

/** Bytes. */
export const hugePageBytes = (size: HugePageSize): bigint => 1n << BigInt(hugePageShifts[size]);

/** Creation flags of the `rfc-convert` dialect: huge pages of this size. Beyond 2^53, so a bigint it must be. */
export const hugePageFlags = (size: HugePageSize): bigint =>
  GUEST_MEMFD_FLAG_HUGETLB | (BigInt(hugePageShifts[size]) << GUESTMEM_HUGETLB_FLAG_SHIFT);

const ALL_BITS = GUEST_MEMFD_FLAG_HUGETLB | GUESTMEM_HUGETLB_FLAG_MASK;

/** The size that flags of that dialect ask for; undefined for none, and for the system's default. */
export const hugePageSizeOf = (flags: bigint): HugePageSize | undefined =>
  hugePageSizes.find((size) => hugePageFlags(size) === (flags & ALL_BITS));

/** What the kernel counts for each size. */
export const hugePageCounters = [
  'nr_hugepages',
  'free_hugepages',
  'resv_hugepages',
  'surplus_hugepages',
  'nr_overcommit_hugepages',
] as const;

export type HugePageCounter = (typeof hugePageCounters)[number];

/** The file that holds a counter, as decimal text; the first and the last can be written to, by root. */
export const hugePageFile = (size: HugePageSize, counter: HugePageCounter): string =>
  `/sys/kernel/mm/hugepages/hugepages-${hugePageBytes(size) >> 10n}kB/${counter}`;
