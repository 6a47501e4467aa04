/** IOMMU_GET_HW_INFO: what the driver of a device's IOMMU says of the hardware. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type IOMMU_GET_HW_INFO,
  IOMMU_HW_CAP_DIRTY_TRACKING,
  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
  IOMMU_HW_INFO_FLAG_INPUT_TYPE,
} from '../../../abi/iommufd.ts';
import type { IommufdContext } from './context.ts';
import { DeviceObject } from './device.ts';
import type { Reply } from './sized-dispatch.ts';

type Info = typeof IOMMU_GET_HW_INFO;

export function getHwInfo(context: IommufdContext, args: IoctlOut<Info>, reply: Reply<Info>): number {
  if (args.flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE || args.__reserved.some((byte) => byte !== 0)) {
    return -errno.EOPNOTSUPP;
  }
  const device = context.objects.find(args.dev_id, DeviceObject)?.device;
  if (!device) return -errno.ENOENT;
  const info = device.driver.hardwareInfo(args.flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE ? args.out_data_type : 0);
  if (typeof info === 'number') return info;
  // Room beyond what there is comes back zero.
  const copied = new Uint8Array(args.data_len);
  copied.set(info.bytes.subarray(0, args.data_len));
  if (!context.write(args.data_uptr, copied)) return -errno.EFAULT;
  return reply({
    ...args,
    data_len: info.bytes.length,
    out_data_type: info.type,
    out_max_pasid_log2: device.pasids === 0 ? 0 : Math.log2(device.pasids),
    out_capabilities: IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED | (device.canTrackDirty ? IOMMU_HW_CAP_DIRTY_TRACKING : 0n),
  });
}
