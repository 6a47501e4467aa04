/** Binding a range of a guest_memfd to a new memslot: virt/kvm/guest_memfd.c, kvm_gmem_bind(). */

import { errno } from '../../abi/errno.ts';
import { isAligned, toPages } from '../ranges.ts';
import { GuestMemfdFile } from './guest-memfd-file.ts';
import type { Memslot } from './memslots.ts';
import type { Vm } from './vm.ts';

/** `inReach`: whether the slot will pass the checks that follow, for a bind that must not stay otherwise. */
export function bindGuestMemfd(vm: Vm, slot: Memslot, fd: number, offset: bigint, inReach: boolean): number {
  const file = vm.machine.fds.get(fd);
  if (!file) return -errno.EBADF;
  if (!(file instanceof GuestMemfdFile) || file.vm !== vm) return -errno.EINVAL;
  const firstPage = toPages(offset);
  const range = { start: firstPage, end: firstPage + slot.pages };
  if (BigInt.asIntN(64, offset) < 0n || !isAligned(offset) || range.end > file.inode.pages) return -errno.EINVAL;
  const { profile } = vm.machine;
  if (profile.checksUserspaceAddr && !mapsTheSame(vm, file, slot.userspaceAddr, firstPage)) return -errno.EINVAL;
  if (!inReach) return -errno.EINVAL;
  if (file.isBound(range)) return -errno[profile.boundTwice];
  slot.gmem = { file, firstPage, only: file.inode.mappable || profile.conversion === 'attributes2' };
  file.bind(slot);
  return 0;
}

/**
 * RFC v2: userspace_addr, where given, must map this very open file at the same offset. Only the first address counts,
 * and only now: the mapping may end early and may go away later.
 */
function mapsTheSame(vm: Vm, file: GuestMemfdFile, address: bigint, firstPage: number): boolean {
  if (address === 0n || !file.inode.mappable) return true;
  const vma = vm.machine.addressSpace.find(address);
  if (vma?.options.file !== file) return false;
  return vma.options.filePage + toPages(address - vma.options.address) === firstPage;
}
