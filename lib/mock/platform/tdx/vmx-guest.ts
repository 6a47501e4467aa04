/** A VM that is no TD, on a host with TDX: vt_mem_enc_ioctl() and vt_vcpu_mem_enc_unlocked_ioctl(). */

import { errno } from '../../../abi/errno.ts';
import type { GuestHardware } from '../guest-hardware.ts';
import { plainGuest } from '../plain-guest.ts';

export const vmxGuest: GuestHardware = { ...plainGuest, vcpuCommand: () => -errno.EINVAL };
