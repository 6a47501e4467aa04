/**
 * iommufd and VFIO: their requests are _IO() numbers, so _IOC_SIZE is 0, and the struct tells its own size in its
 * first u32 (`size` or `argsz`). Source: include/uapi/linux/iommufd.h and vfio.h.
 */

import { requestType } from './ioctl.ts';
import { IOMMUFD_TYPE } from './iommufd.ts';
import { VFIO_GROUP_GET_DEVICE_FD, VFIO_GROUP_SET_CONTAINER } from './vfio.ts';

/** vm.mmap_min_addr's default: a number below it, taken for a pointer, can only fault. */
export const NO_MEMORY_BELOW = 0x1_0000;

export const isSizePrefixed = (request: number): boolean => requestType(request) === IOMMUFD_TYPE;

/** How many bytes of this argument the kernel may touch, by the argument's own account. */
export function claimedSize(request: number, bytes: Uint8Array): number {
  // The two whose argument has no such field: a pointer to an fd, and a device's name.
  if (request === VFIO_GROUP_SET_CONTAINER.request) return VFIO_GROUP_SET_CONTAINER.struct.size;
  if (request === VFIO_GROUP_GET_DEVICE_FD.request) return bytes.includes(0) ? 0 : bytes.byteLength + 1;
  if (bytes.byteLength < 4) return 4;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
