/** The smaller requests on an iommufd: drivers/iommu/iommufd/ioas.c and main.c. */

import { errno } from '../../../abi/errno.ts';
import { U64_MAX } from '../../../abi/invalid.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type IOMMU_DESTROY,
  type IOMMU_IOAS_ALLOC,
  type IOMMU_IOAS_ALLOW_IOVAS,
  type IOMMU_IOAS_CHANGE_PROCESS,
  type IOMMU_IOAS_IOVA_RANGES,
  type IOMMU_IOAS_NOIOMMU_GET_PA,
  type IOMMU_VFIO_IOAS,
  IOMMU_VFIO_IOAS_CLEAR,
  IOMMU_VFIO_IOAS_GET,
  IOMMU_VFIO_IOAS_SET,
  iommu_iova_range,
} from '../../../abi/iommufd.ts';
import { type Interval, IntervalMap } from '../iova/interval-map.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import type { Reply } from './sized-dispatch.ts';

export function destroy(context: IommufdContext, { id }: IoctlOut<typeof IOMMU_DESTROY>): number {
  const error = context.objects.destroy(id);
  if (error === 0 && context.vfioIoas?.id === id) context.vfioIoas = undefined;
  return error;
}

type Alloc = typeof IOMMU_IOAS_ALLOC;

export function ioasAlloc(context: IommufdContext, args: IoctlOut<Alloc>, reply: Reply<Alloc>): number {
  if (args.flags !== 0) return -errno.EOPNOTSUPP;
  const ioas = context.newIoas();
  const error = reply({ ...args, out_ioas_id: ioas.id });
  if (error !== 0) context.objects.free(ioas);
  else context.objects.publish(ioas);
  return error;
}

type Ranges = typeof IOMMU_IOAS_IOVA_RANGES;

/** How many there are comes back also where there was no room for them. */
export function iovaRanges(context: IommufdContext, args: IoctlOut<Ranges>, reply: Reply<Ranges>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  const ioas = context.objects.find(args.ioas_id, Ioas);
  if (!ioas) return -errno.ENOENT;
  let count = 0;
  for (const range of ioas.table.reserved.holes()) {
    const at = args.allowed_iovas + BigInt(count * iommu_iova_range.size);
    if (count < args.num_iovas && !context.write(at, iommu_iova_range.encode(range))) return -errno.EFAULT;
    count++;
  }
  const error = reply({ ...args, num_iovas: count, out_iova_alignment: ioas.table.alignment });
  return error || (count > args.num_iovas ? -errno.EMSGSIZE : 0);
}

export function allowIovas(context: IommufdContext, args: IoctlOut<typeof IOMMU_IOAS_ALLOW_IOVAS>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  const ioas = context.objects.find(args.ioas_id, Ioas);
  if (!ioas) return -errno.ENOENT;
  const allowed = new IntervalMap<Interval>();
  for (let i = 0; i < args.num_iovas; i++) {
    const bytes = context.read(args.allowed_iovas + BigInt(i * iommu_iova_range.size), iommu_iova_range.size);
    if (!bytes) return -errno.EFAULT;
    const { start, last } = iommu_iova_range.decode(bytes);
    if (start >= last || allowed.first(start, last)) return -errno.EINVAL;
    allowed.add({ start, last });
  }
  return ioas.table.allow(allowed);
}

type Vfio = typeof IOMMU_VFIO_IOAS;

export function vfioIoas(context: IommufdContext, args: IoctlOut<Vfio>, reply: Reply<Vfio>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  switch (args.op) {
    case IOMMU_VFIO_IOAS_GET:
      return context.vfioIoas ? reply({ ...args, ioas_id: context.vfioIoas.id }) : -errno.ENODEV;
    case IOMMU_VFIO_IOAS_SET: {
      const ioas = context.objects.find(args.ioas_id, Ioas);
      if (!ioas) return -errno.ENOENT;
      context.vfioIoas = ioas;
      return 0;
    }
    case IOMMU_VFIO_IOAS_CLEAR:
      context.vfioIoas = undefined;
      return 0;
    default:
      return -errno.EOPNOTSUPP;
  }
}

/** Only maps by file can follow the fd into another process. The mock has one, so there is nothing to move. */
export function changeProcess(context: IommufdContext, args: IoctlOut<typeof IOMMU_IOAS_CHANGE_PROCESS>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  for (const object of context.objects) {
    if (!(object instanceof Ioas)) continue;
    for (const area of object.table.areas) if (area.pages.kind !== 'file') return -errno.EINVAL;
  }
  return 0;
}

/** Physical addresses are for devices without an IOMMU, and the mock has none of those. */
export function noIommuAddress(context: IommufdContext, args: IoctlOut<typeof IOMMU_IOAS_NOIOMMU_GET_PA>): number {
  if (args.flags !== 0 || args.__reserved !== 0) return -errno.EOPNOTSUPP;
  if (args.length === 0n) return -errno.EINVAL;
  if (args.iova === U64_MAX) return -errno.EOVERFLOW;
  const ioas = context.objects.find(args.ioas_id, Ioas);
  return ioas?.table.areas.at(args.iova) ? -errno.EOPNOTSUPP : -errno.ENOENT;
}
