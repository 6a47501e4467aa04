/**
 * What follows VFIO's info structs: a chain of capabilities, each at an offset from the start of the info struct that
 * the one before it names. Source: include/uapi/linux/vfio.h of Linux 7.3.4.
 */

import { type Fields, type Struct, type StructOut, struct, u16, u32, u64 } from './struct.ts';

/** `next` is an offset from the start of the info struct; 0 ends the chain. */
export const vfio_info_cap_header = struct('vfio_info_cap_header', { id: u16, version: u16, next: u32 });

export interface InfoCapability {
  readonly id: number;
  readonly version: number;
  /** From the start of the info struct. */
  readonly offset: number;
  /** From its header to the next capability in memory, or to the end. */
  readonly bytes: Uint8Array;
}

/**
 * The capabilities in an info struct's bytes, in the order of the chain. What points outside the bytes, back to where
 * the chain has been, or into the info struct itself ends it.
 */
export function capabilityChain(bytes: Uint8Array, capOffset: number, infoSize: number): InfoCapability[] {
  const found: { id: number; version: number; offset: number }[] = [];
  for (let at = capOffset; isCapability(bytes, at, infoSize) && found.every(({ offset }) => offset !== at); ) {
    const { id, version, next } = vfio_info_cap_header.decode(bytes.subarray(at));
    found.push({ id, version, offset: at });
    at = next;
  }
  const starts = found.map(({ offset }) => offset).sort((a, b) => a - b);
  return found.map((capability) => {
    const end = starts.find((start) => start > capability.offset) ?? bytes.byteLength;
    return { ...capability, bytes: bytes.subarray(capability.offset, end) };
  });
}

const isCapability = (bytes: Uint8Array, at: number, infoSize: number): boolean =>
  at >= infoSize && at % 4 === 0 && at + vfio_info_cap_header.size <= bytes.byteLength;

/** A capability of fixed length, or one that ends in an array whose length is one of its fields. */
interface CapabilityType<F extends Fields, E extends Fields> {
  readonly id: number;
  readonly struct: Struct<F>;
  readonly entries?: { readonly count: keyof F & string; readonly struct: Struct<E> };
}

export type CapabilityOut<F extends Fields, E extends Fields> = StructOut<F> & { entries: StructOut<E>[] };

/** The capability of this type in a chain. */
export function findCapability<F extends Fields, E extends Fields>(
  chain: readonly InfoCapability[],
  type: CapabilityType<F, E>,
): CapabilityOut<F, E> | undefined {
  const bytes = chain.find(({ id }) => id === type.id)?.bytes;
  if (!bytes || bytes.byteLength < type.struct.size) return undefined;
  const fixed = type.struct.decode(bytes);
  return { ...fixed, entries: type.entries ? entriesIn(bytes, type.struct.size, type.entries.struct) : [] };

  function entriesIn(all: Uint8Array, from: number, entry: Struct<E>): StructOut<E>[] {
    const claimed = Number(fixed[type.entries?.count as keyof F & string]);
    const fit = Math.floor((all.byteLength - from) / entry.size);
    return Array.from({ length: Math.min(claimed, fit) }, (_, i) => entry.decode(all.subarray(from + i * entry.size)));
  }
}

const header = vfio_info_cap_header;

/** Both ends belong to the range. */
export const vfio_iova_range = struct('vfio_iova_range', { start: u64, end: u64 });

/** What a device may address through a type1 container. */
export const vfioIovaRanges = {
  id: 1,
  struct: struct('vfio_iommu_type1_info_cap_iova_range', { header, nr_iovas: u32, reserved: u32 }),
  entries: { count: 'nr_iovas', struct: vfio_iova_range },
} as const;

/** Dirty tracking: the page sizes, and the largest bitmap in bytes. */
export const vfioMigration = {
  id: 2,
  struct: struct('vfio_iommu_type1_info_cap_migration', {
    header,
    flags: u32,
    pgsize_bitmap: u64,
    max_dirty_bitmap_size: u64,
  }),
} as const;

/** How many more mappings the container takes. */
export const vfioDmaAvailable = {
  id: 3,
  struct: struct('vfio_iommu_type1_info_dma_avail', { header, avail: u32 }),
} as const;

export const vfio_region_sparse_mmap_area = struct('vfio_region_sparse_mmap_area', { offset: u64, size: u64 });

/** The parts of a region that can be mapped, where not all of it can. */
export const vfioSparseMmap = {
  id: 1,
  struct: struct('vfio_region_info_cap_sparse_mmap', { header, nr_areas: u32, reserved: u32 }),
  entries: { count: 'nr_areas', struct: vfio_region_sparse_mmap_area },
} as const;

/** What a region beyond the bus's own is. */
export const vfioRegionType = {
  id: 2,
  struct: struct('vfio_region_info_cap_type', { header, type: u32, subtype: u32 }),
} as const;

/** The BAR with the MSI-X table can be mapped all the same: no struct of its own. */
export const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3;
