/** Which pages devices have written: IOMMU_HWPT_SET_DIRTY_TRACKING and GET_DIRTY_BITMAP. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
  type IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
  type IOMMU_HWPT_SET_DIRTY_TRACKING,
} from '../../../abi/iommufd.ts';
import type { IommufdContext } from './context.ts';
import { HwptPaging } from './hwpt.ts';

export function setDirtyTracking(
  context: IommufdContext,
  args: IoctlOut<typeof IOMMU_HWPT_SET_DIRTY_TRACKING>,
): number {
  if (args.flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE) return -errno.EOPNOTSUPP;
  const hwpt = context.objects.find(args.hwpt_id, HwptPaging);
  if (!hwpt) return -errno.ENOENT;
  const { domain } = hwpt;
  if (!domain.canTrack) return -errno.EOPNOTSUPP;
  domain.tracking = (args.flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE) !== 0;
  // A bitmap begins with nothing dirty.
  if (domain.tracking) domain.clean(0n, U64_MAX);
  return 0;
}

type Args = IoctlOut<typeof IOMMU_HWPT_GET_DIRTY_BITMAP>;

/** Sets bits and clears none. A gap in what is mapped ends it, without an error. */
export function getDirtyBitmap(context: IommufdContext, args: Args): number {
  if (args.flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || args.__reserved !== 0) return -errno.EOPNOTSUPP;
  const hwpt = context.objects.find(args.hwpt_id, HwptPaging);
  if (!hwpt) return -errno.ENOENT;
  const refused = refuses(hwpt.ioas.table.alignment, args);
  if (refused !== 0) return refused;
  if (!hwpt.domain.canTrack) return -errno.EOPNOTSUPP;
  const last = args.iova + args.length - 1n;
  const keep = (args.flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) !== 0;
  for (const area of hwpt.ioas.table.contiguous(args.iova, last).areas) {
    for (const entry of hwpt.domain.dirtyEntries(area, args.iova, last, keep)) setBits(context, args, entry, last);
  }
  return 0;
}

/** iommufd_check_iova_range() */
function refuses(alignment: bigint, { iova, length, page_size }: Args): number {
  if (length === 0n) return -errno.EINVAL;
  const end = iova + length;
  if (end - 1n > U64_MAX) return -errno.EOVERFLOW;
  if ((iova | end) & (alignment - 1n)) return -errno.EINVAL;
  return page_size === 0n || (iova | end) & (page_size - 1n) ? -errno.EINVAL : 0;
}

function setBits(
  context: IommufdContext,
  { iova, page_size, data }: Args,
  entry: { start: bigint; last: bigint },
  last: bigint,
): void {
  const shift = BigInt((page_size & -page_size).toString(2).length - 1);
  const from = entry.start < iova ? iova : entry.start;
  const to = entry.last > last ? last : entry.last;
  for (let bit = (from - iova) >> shift; bit <= (to - iova) >> shift; bit++) {
    const byte = context.read(data + bit / 8n, 1);
    if (byte) context.write(data + bit / 8n, Uint8Array.of(byte[0]! | (1 << Number(bit % 8n))));
  }
}
