/**
 * VFIO's container requests, on an iommufd: drivers/iommu/iommufd/vfio_compat.c. They mean the IOAS that was made when
 * a group was attached, or chosen with IOMMU_VFIO_IOAS; without one they answer ENODEV.
 */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import * as vfio from '../../../abi/vfio.ts';
import type { UserMemory } from '../../process/index.ts';
import { disableLargePages } from '../iova/attach.ts';
import type { IoPageTable } from '../iova/io-page-table.ts';
import { cutBehind } from '../iova/split.ts';
import { userPages } from '../pages/create.ts';
import { ArgsizedDispatcher, type Call } from '../vfio/argsized-dispatch.ts';
import { getInfo } from './compat-info.ts';
import type { IommufdContext } from './context.ts';
import { mapWhole } from './map.ts';

const PAGE = BigInt(PAGE_SIZE);

const dispatcher = new ArgsizedDispatcher<IommufdContext>()
  .on(vfio.VFIO_GET_API_VERSION, () => vfio.VFIO_API_VERSION)
  .on(vfio.VFIO_CHECK_EXTENSION, checkExtension)
  .on(vfio.VFIO_SET_IOMMU, setIommu)
  .on(vfio.VFIO_IOMMU_GET_INFO, getInfo)
  .on(vfio.VFIO_IOMMU_MAP_DMA, mapDma)
  .on(vfio.VFIO_IOMMU_UNMAP_DMA, unmapDma);

export const compatIoctl = (context: IommufdContext, request: number, user: UserMemory): number =>
  dispatcher.run(context, request, user, -errno.ENOTTY);

function checkExtension(context: IommufdContext, extension: bigint): number {
  switch (Number(extension)) {
    case vfio.VFIO_TYPE1_IOMMU:
    case vfio.VFIO_TYPE1v2_IOMMU:
    case vfio.VFIO_UNMAP_ALL:
    // CONFIG_VFIO_NOIOMMU
    case vfio.VFIO_NOIOMMU_IOMMU:
      return 1;
    case vfio.VFIO_DMA_CC_IOMMU:
      return context.vfioIoas ? Number(enforcesCoherency(context.vfioIoas.table)) : -errno.ENODEV;
    default:
      return 0;
  }
}

const enforcesCoherency = ({ domains }: IoPageTable): boolean =>
  domains.every(({ driver }) => driver.enforcesCoherency);

function setIommu(context: IommufdContext, type: bigint): number {
  const isFirst = type === BigInt(vfio.VFIO_TYPE1_IOMMU);
  if (!isFirst && type !== BigInt(vfio.VFIO_TYPE1v2_IOMMU)) return -errno.EINVAL;
  if (!context.vfioIoas) return -errno.ENODEV;
  // Version 1 may unmap in the middle of a mapping.
  return isFirst ? disableLargePages(context.vfioIoas.table) : 0;
}

type MapDma = typeof vfio.VFIO_IOMMU_MAP_DMA;

function mapDma(context: IommufdContext, { args }: Call<MapDma>): number {
  if (args.flags & ~(vfio.VFIO_DMA_MAP_FLAG_READ | vfio.VFIO_DMA_MAP_FLAG_WRITE)) return -errno.EINVAL;
  const ioas = context.vfioIoas;
  if (!ioas) return -errno.ENODEV;
  const access = {
    read: (args.flags & vfio.VFIO_DMA_MAP_FLAG_READ) !== 0,
    write: (args.flags & vfio.VFIO_DMA_MAP_FLAG_WRITE) !== 0,
  };
  const pages = userPages(context, args.vaddr, args.size, access.write);
  if (typeof pages === 'number') return pages;
  const iova = mapWhole(ioas, pages, args.vaddr % PAGE, args.size, args.iova, access);
  return iova < 0n ? Number(iova) : 0;
}

type UnmapDma = typeof vfio.VFIO_IOMMU_UNMAP_DMA;

/** How much was unmapped comes back also where the rest was refused. */
function unmapDma(context: IommufdContext, { args, writeBack }: Call<UnmapDma>): number {
  if (args.flags & ~vfio.VFIO_DMA_UNMAP_FLAG_ALL) return -errno.EINVAL;
  const table = context.vfioIoas?.table;
  if (!table) return -errno.ENODEV;
  const { iova, size, flags } = args;
  if (flags & vfio.VFIO_DMA_UNMAP_FLAG_ALL && (iova !== 0n || size !== 0n)) return -errno.EINVAL;
  if (!(flags & vfio.VFIO_DMA_UNMAP_FLAG_ALL) && !table.largePages) {
    const cut = cutBehind(table, cuts(iova, size));
    if (cut !== 0) return cut;
  }
  const { result, unmapped } = flags & vfio.VFIO_DMA_UNMAP_FLAG_ALL ? table.unmapAll() : unmapRange(table, iova, size);
  return writeBack({ ...args, size: unmapped }) || result;
}

/** Behind the last byte, and before the first: in 64 bits, as the kernel reckons them. */
function cuts(iova: bigint, size: bigint): bigint[] {
  const behind = BigInt.asUintN(64, iova + size - 1n);
  return iova === 0n ? [behind] : [behind, iova - 1n];
}

/** iopt_unmap_iova() */
function unmapRange(table: IoPageTable, iova: bigint, size: bigint): { result: number; unmapped: bigint } {
  if (size === 0n) return { result: -errno.EINVAL, unmapped: 0n };
  const last = iova + size - 1n;
  return last > U64_MAX ? { result: -errno.EOVERFLOW, unmapped: 0n } : table.unmap(iova, last);
}
