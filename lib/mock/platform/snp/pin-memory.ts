/** sev_pin_memory(): pages of the process that SEV encrypts where they are. */

import { errno } from '../../../abi/errno.ts';
import { toPages, wraps } from '../../ranges.ts';
import type { ProcessMemory } from '../guest-hardware.ts';

const INT_MAX = 0x7fff_ffff;

/** What lets them go again, or -errno. */
export function pinMemory(
  process: ProcessMemory,
  address: bigint,
  size: bigint,
  write: boolean,
): (() => void) | number {
  if (size === 0n || wraps(address, size)) return -errno.EINVAL;
  // More than any host has, so that the kernel refuses before it looks.
  if (toPages(size) > INT_MAX) return -errno.EINVAL;
  return process.pin(address, size, write) ?? -errno.ENOMEM;
}
