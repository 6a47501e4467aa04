/** IOMMU_HWPT_ALLOC: drivers/iommu/iommufd/hw_pagetable.c. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_ALLOC_PASID,
  IOMMU_HWPT_DATA_NONE,
  IOMMU_HWPT_FAULT_ID_VALID,
} from '../../../abi/iommufd.ts';
import type { UserData } from '../hardware/driver.ts';
import type { IommufdContext } from './context.ts';
import { DeviceObject } from './device.ts';
import { FaultQueue } from './fault-queue.ts';
import { type Hwpt, HwptNested, HwptPaging } from './hwpt.ts';
import { Ioas } from './ioas.ts';
import { allocatePaging, linkPaging } from './paging.ts';
import type { Reply } from './sized-dispatch.ts';
import { userData } from './user-data.ts';
import { Viommu } from './viommu.ts';

type Args = IoctlOut<typeof IOMMU_HWPT_ALLOC>;

const NESTED_FLAGS = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

export function hwptAlloc(context: IommufdContext, args: Args, reply: Reply<typeof IOMMU_HWPT_ALLOC>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  if ((args.data_type === IOMMU_HWPT_DATA_NONE) !== (args.data_len === 0)) return -errno.EINVAL;
  const device = context.objects.find(args.dev_id, DeviceObject);
  if (!device) return -errno.ENOENT;
  const hwpt = make(context, device, args);
  if (typeof hwpt === 'number') return hwpt;
  const error = reportFaults(context, hwpt, args) || reply({ ...args, out_hwpt_id: hwpt.id });
  if (error !== 0) {
    context.objects.free(hwpt);
    hwpt.destroy();
    return error;
  }
  context.objects.publish(hwpt);
  return 0;
}

function make(context: IommufdContext, device: DeviceObject, args: Args): Hwpt | number {
  const target = context.objects.any(args.pt_id);
  const data = userData(context, args.data_type, args.data_uptr, args.data_len);
  if (target instanceof Ioas) return makePaging(device, target, args.flags, data);
  if (target instanceof HwptPaging) return makeNested(context, device, target, undefined, args.flags, data);
  if (target instanceof Viommu) {
    if (target.driver !== device.device.driver) return -errno.EINVAL;
    return makeNested(context, device, target.hwpt, target, args.flags, data);
  }
  return -errno.EINVAL;
}

function makePaging(device: DeviceObject, ioas: Ioas, flags: number, data: UserData | undefined): Hwpt | number {
  const hwpt = allocatePaging({ objects: device.context.objects, device: device.device }, ioas, flags, data);
  if (typeof hwpt === 'number') return hwpt;
  const error = linkPaging(hwpt);
  if (error === 0) return hwpt;
  device.context.objects.free(hwpt);
  hwpt.destroy();
  return error;
}

/** iommufd_hwpt_nested_alloc() and iommufd_viommu_alloc_hwpt_nested(). */
function makeNested(
  context: IommufdContext,
  device: DeviceObject,
  parent: HwptPaging,
  viommu: Viommu | undefined,
  flags: number,
  data: UserData | undefined,
): Hwpt | number {
  const { driver } = device.device;
  if (flags & ~NESTED_FLAGS || !data || !driver.allocateNested) return -errno.EOPNOTSUPP;
  if (!viommu) {
    if (parent.automatic || !parent.nestParent || parent.domain.driver !== driver) return -errno.EINVAL;
  }
  const nested = driver.allocateNested(flags & ~IOMMU_HWPT_FAULT_ID_VALID, data);
  if (typeof nested === 'number') return nested;
  const hwpt = new HwptNested(parent, viommu, nested.iotlb, (flags & IOMMU_HWPT_ALLOC_PASID) !== 0);
  context.objects.reserve(hwpt);
  return hwpt;
}

function reportFaults(context: IommufdContext, hwpt: Hwpt, { flags, fault_id }: Args): number {
  if (!(flags & IOMMU_HWPT_FAULT_ID_VALID)) return 0;
  const queue = context.objects.find(fault_id, FaultQueue);
  if (!queue) return -errno.ENOENT;
  hwpt.reportTo(queue);
  return 0;
}
