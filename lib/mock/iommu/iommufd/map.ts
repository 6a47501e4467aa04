/** IOMMU_IOAS_MAP, MAP_FILE, COPY and UNMAP: drivers/iommu/iommufd/ioas.c, check by check. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type IOMMU_IOAS_COPY,
  type IOMMU_IOAS_MAP,
  type IOMMU_IOAS_MAP_FILE,
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
  type IOMMU_IOAS_UNMAP,
} from '../../../abi/iommufd.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Access } from '../iova/area.ts';
import { filePages, userPages } from '../pages/create.ts';
import type { Pages } from '../pages/pages.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import type { Reply } from './sized-dispatch.ts';

const PAGE = BigInt(PAGE_SIZE);
const KNOWN_FLAGS = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

const accessOf = (flags: number): Access => ({
  read: (flags & IOMMU_IOAS_MAP_READABLE) !== 0,
  write: (flags & IOMMU_IOAS_MAP_WRITEABLE) !== 0,
});

const fixed = (flags: number, iova: bigint): bigint | undefined =>
  flags & IOMMU_IOAS_MAP_FIXED_IOVA ? iova : undefined;

/** What MAP, MAP_FILE and COPY check first. */
function refuses(flags: number, ...quantities: readonly bigint[]): number {
  if (flags & ~KNOWN_FLAGS) return -errno.EOPNOTSUPP;
  if (quantities.some((quantity) => quantity === U64_MAX)) return -errno.EOVERFLOW;
  return flags & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE) ? 0 : -errno.EINVAL;
}

type Map = typeof IOMMU_IOAS_MAP;

export function ioasMap(context: IommufdContext, args: IoctlOut<Map>, reply: Reply<Map>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  const refused = refuses(args.flags, args.iova, args.length);
  if (refused !== 0) return refused;
  const ioas = context.objects.find(args.ioas_id, Ioas);
  if (!ioas) return -errno.ENOENT;
  const { user_va, length, flags } = args;
  const pages = userPages(context, user_va, length, accessOf(flags).write);
  if (typeof pages === 'number') return pages;
  const iova = mapWhole(ioas, pages, user_va % PAGE, length, fixed(flags, args.iova), accessOf(flags));
  return iova < 0n ? Number(iova) : reply({ ...args, iova });
}

type MapFile = typeof IOMMU_IOAS_MAP_FILE;

export function ioasMapFile(context: IommufdContext, args: IoctlOut<MapFile>, reply: Reply<MapFile>): number {
  const refused = refuses(args.flags, args.iova, args.length);
  if (refused !== 0) return refused;
  const ioas = context.objects.find(args.ioas_id, Ioas);
  if (!ioas) return -errno.ENOENT;
  const { fd, start, length, flags } = args;
  if (length === 0n) return -errno.EINVAL;
  if (start + length - 1n > U64_MAX) return -errno.EOVERFLOW;
  const pages = filePages(context, { fd, start, length, write: accessOf(flags).write, side: ioas.table.side });
  if (typeof pages === 'number') return pages;
  const iova = mapWhole(ioas, pages, start % PAGE, length, fixed(flags, args.iova), accessOf(flags));
  return iova < 0n ? Number(iova) : reply({ ...args, iova });
}

/** iopt_map_common(): an area for memory that nobody else has yet. */
export function mapWhole(
  ioas: Ioas,
  pages: Pages,
  startByte: bigint,
  length: bigint,
  iova: bigint | undefined,
  access: Access,
): bigint {
  pages.get();
  try {
    return ioas.table.map([{ pages, startByte, length }], length, iova, access);
  } finally {
    pages.put();
  }
}

type Copy = typeof IOMMU_IOAS_COPY;

export function ioasCopy(context: IommufdContext, args: IoctlOut<Copy>, reply: Reply<Copy>): number {
  const { flags, length, src_iova, dst_iova } = args;
  const refused = refuses(flags, length, src_iova, dst_iova);
  if (refused !== 0) return refused;
  const from = context.objects.find(args.src_ioas_id, Ioas);
  if (!from) return -errno.ENOENT;
  const slices = from.table.slices(src_iova, length);
  if (typeof slices === 'number') return slices;
  const to = context.objects.find(args.dst_ioas_id, Ioas);
  if (!to) return -errno.ENOENT;
  const iova = to.table.map(slices, length, fixed(flags, dst_iova), accessOf(flags));
  return iova < 0n ? Number(iova) : reply({ ...args, dst_iova: iova });
}

type Unmap = typeof IOMMU_IOAS_UNMAP;

export function ioasUnmap(context: IommufdContext, args: IoctlOut<Unmap>, reply: Reply<Unmap>): number {
  const ioas = context.objects.find(args.ioas_id, Ioas);
  if (!ioas) return -errno.ENOENT;
  const { iova, length } = args;
  const everything = iova === 0n && length === U64_MAX;
  if (!everything) {
    if (iova === U64_MAX || length === U64_MAX) return -errno.EOVERFLOW;
    if (length === 0n) return -errno.EINVAL;
    if (iova + length - 1n > U64_MAX) return -errno.EOVERFLOW;
  }
  const { result, unmapped } = everything ? ioas.table.unmapAll() : ioas.table.unmap(iova, iova + length - 1n);
  if (result !== 0) return result;
  return unmapped === 0n && !everything ? -errno.ENOENT : reply({ ...args, length: unmapped });
}
