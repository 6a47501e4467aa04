/**
 * VFIO_IOMMU_UNMAP_DMA. Version 2 takes whole mappings and refuses to cut one; version 1 takes every mapping whose
 * start lies in the range, and says how much that was.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Mapping, Type1 } from './type1.ts';

const PAGE = BigInt(PAGE_SIZE);

export interface UnmapRequest {
  readonly iova: bigint;
  readonly size: bigint;
  readonly all: boolean;
  /** Only takes the addresses away, and leaves the mappings. */
  readonly vaddr: boolean;
  /** Told of each mapping before it goes; its errors end it. */
  readonly before?: (mapping: Mapping) => number;
  /** What must hold of dirty tracking. */
  readonly isDirtyRequestValid?: () => boolean;
}

/** vfio_dma_do_unmap(): how many bytes were unmapped, and 0 or -errno. */
export function unmap(type1: Type1, request: UnmapRequest): { result: number; unmapped: bigint } {
  const { iova, size, all } = request;
  const fail = (result: number): { result: number; unmapped: bigint } => ({ result, unmapped: 0n });
  if (iova & (PAGE - 1n)) return fail(-errno.EINVAL);
  if (all && (iova !== 0n || size !== 0n)) return fail(-errno.EINVAL);
  if (!all && (size === 0n || size & (PAGE - 1n))) return fail(-errno.EINVAL);
  const last = all ? U64_MAX : iova + size - 1n;
  if (last > U64_MAX) return fail(-errno.EOVERFLOW);
  if (request.isDirtyRequestValid?.() === false) return fail(-errno.EINVAL);
  if (type1.isV2 && !all && (cuts(type1, iova) || cuts(type1, last + 1n))) return fail(-errno.EINVAL);
  const touched = [...type1.mappings.within(iova, last)];
  // Version 1 stops at a mapping that begins before the range.
  const reached = !type1.isV2 && touched[0] !== undefined && touched[0].start < iova ? [] : touched;
  return request.vaddr ? takeAddresses(reached) : removeAll(type1, reached, request);
}

/** Whether a mapping lies on both sides of an address. */
function cuts({ mappings }: Type1, at: bigint): boolean {
  const mapping = mappings.at(at);
  return mapping !== undefined && mapping.start < at;
}

function takeAddresses(mappings: readonly Mapping[]): { result: number; unmapped: bigint } {
  if (mappings.some(({ isVaddrInvalid }) => isVaddrInvalid)) return { result: -errno.EINVAL, unmapped: 0n };
  for (const mapping of mappings) mapping.isVaddrInvalid = true;
  return { result: 0, unmapped: mappings.reduce((sum, { size }) => sum + size, 0n) };
}

function removeAll(
  type1: Type1,
  mappings: readonly Mapping[],
  { before }: UnmapRequest,
): { result: number; unmapped: bigint } {
  let unmapped = 0n;
  for (const mapping of mappings) {
    const error = before?.(mapping) ?? 0;
    if (error !== 0) return { result: error, unmapped };
    unmapped += mapping.size;
    type1.remove(mapping);
  }
  return { result: 0, unmapped };
}
