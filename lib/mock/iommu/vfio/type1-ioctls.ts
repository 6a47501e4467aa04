/** The requests of a type1 container. */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import * as vfio from '../../../abi/vfio.ts';
import { vfioDmaAvailable, vfioIovaRanges, vfioMigration } from '../../../abi/vfio-capabilities.ts';
import type { IommuHost } from '../host.ts';
import { ArgsizedDispatcher, type Call } from './argsized-dispatch.ts';
import { encodeChain } from './capability-chain.ts';
import type { Type1 } from './type1.ts';
import { type Bitmap, getBitmap, isBitmapWrong, MAX_BITMAP_BYTES, writeBits } from './type1-dirty.ts';
import { unmap } from './type1-unmap.ts';

interface Type1File {
  readonly type1: Type1;
  readonly host: IommuHost;
}

function getInfo({ type1 }: Type1File, { args, writeBack, writeAt }: Call<typeof vfio.VFIO_IOMMU_GET_INFO>): number {
  const { size } = vfio.VFIO_IOMMU_GET_INFO.struct;
  const ranges = [...type1.reserved.holes()].map(({ start, last }) => ({ start, end: last }));
  const chain = encodeChain(size, [
    [vfioMigration, { pgsize_bitmap: PAGE_SIZE, max_dirty_bitmap_size: MAX_BITMAP_BYTES }],
    [vfioDmaAvailable, { avail: type1.available }],
    [vfioIovaRanges, { nr_iovas: ranges.length }, ranges],
  ]);
  const needed = size + chain.length;
  const fits = args.argsz >= needed;
  if (fits && !writeAt(size, chain)) return -errno.EFAULT;
  const info = {
    argsz: fits ? args.argsz : needed,
    flags: vfio.VFIO_IOMMU_INFO_PGSIZES | vfio.VFIO_IOMMU_INFO_CAPS,
    iova_pgsizes: type1.pageSizes,
    cap_offset: fits ? size : 0,
    pad: 0,
  };
  return writeBack(info, Math.min(args.argsz, size));
}

const MAP_FLAGS = vfio.VFIO_DMA_MAP_FLAG_READ | vfio.VFIO_DMA_MAP_FLAG_WRITE | vfio.VFIO_DMA_MAP_FLAG_VADDR;

function mapDma({ type1 }: Type1File, { args }: Call<typeof vfio.VFIO_IOMMU_MAP_DMA>): number {
  const { flags, iova, vaddr, size } = args;
  if (flags & ~MAP_FLAGS) return -errno.EINVAL;
  const read = (flags & vfio.VFIO_DMA_MAP_FLAG_READ) !== 0;
  const write = (flags & vfio.VFIO_DMA_MAP_FLAG_WRITE) !== 0;
  if (!(flags & vfio.VFIO_DMA_MAP_FLAG_VADDR)) return type1.map({ iova, vaddr, size, read, write });
  return refusesUpdate(args, read || write) || type1.updateAddress(iova, size);
}

const U64 = 0xffff_ffff_ffff_ffffn;

function refusesUpdate(
  { iova, vaddr, size }: { iova: bigint; vaddr: bigint; size: bigint },
  accesses: boolean,
): number {
  if (size === 0n) return -errno.EINVAL;
  if (iova + size - 1n > U64 || vaddr + size - 1n > U64) return -errno.EOVERFLOW;
  return accesses || (size | iova | vaddr) % BigInt(PAGE_SIZE) !== 0n ? -errno.EINVAL : 0;
}

const {
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: DIRTY,
  VFIO_DMA_UNMAP_FLAG_ALL: ALL,
  VFIO_DMA_UNMAP_FLAG_VADDR: VADDR,
} = vfio;

function unmapDma({ type1, host }: Type1File, call: Call<typeof vfio.VFIO_IOMMU_UNMAP_DMA>): number {
  const { args, writeBack } = call;
  const { flags, iova, size } = args;
  if (flags & ~(DIRTY | ALL | VADDR)) return -errno.EINVAL;
  if (flags & DIRTY && flags & (ALL | VADDR)) return -errno.EINVAL;
  const bitmap = flags & DIRTY ? bitmapBehind(call) : undefined;
  if (typeof bitmap === 'number') return bitmap;
  const { result, unmapped } = unmap(type1, {
    iova,
    size,
    all: (flags & ALL) !== 0,
    vaddr: (flags & VADDR) !== 0,
    ...(bitmap && {
      isDirtyRequestValid: () => type1.tracksDirty && bitmap.pgsize === BigInt(PAGE_SIZE),
      before: (mapping) => writeBits(host.addressSpace, bitmap.data, mapping, iova),
    }),
  });
  return result !== 0 ? result : writeBack({ ...args, size: unmapped });
}

/** The vfio_bitmap that follows the struct, or -errno. */
function bitmapBehind({ args, readAt }: Call<typeof vfio.VFIO_IOMMU_UNMAP_DMA>): Bitmap | number {
  const { size } = vfio.VFIO_IOMMU_UNMAP_DMA.struct;
  if (args.argsz < size + vfio.vfio_bitmap.size) return -errno.EINVAL;
  const bytes = readAt(size, vfio.vfio_bitmap.size);
  if (!bytes) return -errno.EFAULT;
  const bitmap = vfio.vfio_bitmap.decode(bytes);
  return isBitmapWrong(args.size, bitmap) ? -errno.EINVAL : bitmap;
}

const { VFIO_IOMMU_DIRTY_PAGES_FLAG_START: START, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP: STOP } = vfio;
const GET = vfio.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
const dirtyGet = vfio.vfioWithBitmap.DIRTY_PAGES.struct;

function dirtyPages({ type1, host }: Type1File, { args, readAt }: Call<typeof vfio.VFIO_IOMMU_DIRTY_PAGES>): number {
  switch (args.flags) {
    case START:
      type1.tracksDirty = true;
      return 0;
    case STOP:
      type1.tracksDirty = false;
      return 0;
    case GET: {
      const bytes = args.argsz < dirtyGet.size ? undefined : readAt(0, dirtyGet.size);
      if (!bytes) return args.argsz < dirtyGet.size ? -errno.EINVAL : -errno.EFAULT;
      return getBitmap(host.addressSpace, type1, dirtyGet.decode(bytes).get);
    }
    default:
      return -errno.EINVAL;
  }
}

const dispatcher = new ArgsizedDispatcher<Type1File>()
  .on(vfio.VFIO_IOMMU_GET_INFO, getInfo)
  .on(vfio.VFIO_IOMMU_MAP_DMA, mapDma)
  .on(vfio.VFIO_IOMMU_UNMAP_DMA, unmapDma)
  .on(vfio.VFIO_IOMMU_DIRTY_PAGES, dirtyPages);

export const type1Dispatcher: Pick<ArgsizedDispatcher<Type1File>, 'run'> = {
  /** Version 1 has no dirty pages, whatever is asked about them. */
  run: (file, request, user, otherwise) =>
    request === vfio.VFIO_IOMMU_DIRTY_PAGES.request && !file.type1.isV2
      ? -errno.EACCES
      : dispatcher.run(file, request, user, otherwise),
};
