/** A VM for which the hardware does nothing. */

import { errno } from '../../abi/errno.ts';
import type { GuestHardware } from './guest-hardware.ts';

export const plainGuest: GuestHardware = {
  isLaunched: true,
  needsInitialization: () => false,
  entryFails: () => false,
  preFaultAllowed: true,
  sealsRegisters: () => false,
  sharedBit: 0n,
  createVcpu: () => 0,
  makePrivate: () => {},
  touch: () => 'reached',
  command: () => -errno.ENOTTY,
  vcpuCommand: () => -errno.ENOTTY,
  registerRegion: () => -errno.ENOTTY,
  unregisterRegion: () => -errno.ENOTTY,
  destroy: () => {},
};
