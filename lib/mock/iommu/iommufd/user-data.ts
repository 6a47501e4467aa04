/** Data in a driver's own format, in the memory of whoever makes the request: iommu_copy_struct_from_user(). */

import { errno } from '../../../abi/errno.ts';
import type { UserData } from '../hardware/driver.ts';
import type { IommufdContext } from './context.ts';

/** Undefined where no data was given. */
export function userData(context: IommufdContext, type: number, address: bigint, length: number): UserData | undefined {
  if (length === 0) return undefined;
  return {
    type,
    length,
    read: (minimum, size) => {
      if (length < minimum || length > size) return -errno.EINVAL;
      const given = context.read(address, length);
      if (!given) return -errno.EFAULT;
      const bytes = new Uint8Array(size);
      bytes.set(given);
      return bytes;
    },
  };
}
