/**
 * Dirty pages of a type1 container. Devices write behind its back, so while it tracks, everything that is mapped is
 * dirty.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { vfio_bitmap } from '../../../abi/vfio.ts';
import type { AddressSpace } from '../../process/index.ts';
import type { Mapping, Type1 } from './type1.ts';

const PAGE = BigInt(PAGE_SIZE);
/** DIRTY_BITMAP_SIZE_MAX */
export const MAX_BITMAP_BYTES = 0x1000_0000n;

export type Bitmap = ReturnType<(typeof vfio_bitmap)['decode']>;

const bitmapBytes = (pages: bigint): bigint => ((pages + 63n) / 64n) * 8n;

/** verify_bitmap_size(), for a range of so many bytes. */
export function isBitmapWrong(length: bigint, { pgsize, size }: Bitmap): boolean {
  const unit = pgsize & -pgsize;
  const pages = unit === 0n ? 0n : length / unit;
  return pages === 0n || size === 0n || size > MAX_BITMAP_BYTES || size < bitmapBytes(pages);
}

/** update_user_bitmap(): sets the bits of a mapping, counted from `base`. 0, or -EFAULT. */
export function writeBits(space: AddressSpace, data: bigint, { start, size }: Mapping, base: bigint): number {
  const bit = (start - base) / PAGE;
  const pages = size / PAGE;
  const shift = bit % 64n;
  const at = data + (bit / 64n) * 8n;
  const words = new Uint8Array(Number(bitmapBytes(pages + shift)));
  if (shift > 0n && space.copyOut(at, words.subarray(0, 8)) !== 8) return -errno.EFAULT;
  for (let i = shift; i < shift + pages; i++) words[Number(i / 8n)]! |= 1 << Number(i % 8n);
  return space.copyIn(at, words) === words.length ? 0 : -errno.EFAULT;
}

export interface GetRequest {
  readonly iova: bigint;
  readonly size: bigint;
  readonly bitmap: Bitmap;
}

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP */
export function getBitmap(space: AddressSpace, type1: Type1, { iova, size, bitmap }: GetRequest): number {
  if (size === 0n) return -errno.EINVAL;
  const last = iova + size - 1n;
  if (last > U64_MAX) return -errno.EOVERFLOW;
  if (isBitmapWrong(size, bitmap) || bitmap.pgsize !== PAGE) return -errno.EINVAL;
  if ((iova | size) & (PAGE - 1n) || !type1.tracksDirty) return -errno.EINVAL;
  const first = type1.mappings.at(iova);
  const end = type1.mappings.at(last);
  if ((first && first.start !== iova) || (end && end.last !== last)) return -errno.EINVAL;
  for (const mapping of type1.mappings.within(iova, last)) {
    const error = writeBits(space, bitmap.data, mapping, iova);
    if (error !== 0) return error;
  }
  return 0;
}
