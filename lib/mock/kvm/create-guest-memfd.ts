/** KVM_CREATE_GUEST_MEMFD: which flags a VM may ask for, and what they mean on this kernel. */

import { errno } from '../../abi/errno.ts';
import {
  GUEST_MEMFD_FLAG_INIT_PRIVATE,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
} from '../../abi/guest-memfd.ts';
import { GuestMemfdInode, type Shareability } from '../guest-memfd/index.ts';
import type { Profile } from '../profile.ts';
import { isAligned } from '../ranges.ts';
import { GuestMemfdFile } from './guest-memfd-file.ts';
import type { Vm } from './vm.ts';

/** kvm_gmem_get_supported_flags() of released kernels: sharing from the start is for VMs without private memory only. */
export function supportedFlags(profile: Profile, vm: Vm | undefined): bigint {
  if (profile.conversion === 'rfc-convert') return GUEST_MEMFD_FLAG_SUPPORT_SHARED | GUEST_MEMFD_FLAG_INIT_PRIVATE;
  const initShared = !vm?.hasPrivateMemory || profile.conversion === 'attributes2';
  return GUEST_MEMFD_FLAG_MMAP | (initShared ? GUEST_MEMFD_FLAG_INIT_SHARED : 0n);
}

function areValid(profile: Profile, vm: Vm, flags: bigint): boolean {
  if (flags & ~supportedFlags(profile, vm)) return false;
  // RFC v2 patch 02: INIT_PRIVATE says how sharing starts, so it needs sharing.
  return profile.conversion !== 'rfc-convert' || flags !== GUEST_MEMFD_FLAG_INIT_PRIVATE;
}

/** In the RFC memory starts shared, even that which can never be mapped; everywhere else it starts private. */
function initialState(profile: Profile, flags: bigint): Shareability {
  if (profile.conversion === 'rfc-convert') return flags & GUEST_MEMFD_FLAG_INIT_PRIVATE ? 'private' : 'shared';
  return flags & GUEST_MEMFD_FLAG_INIT_SHARED ? 'shared' : 'private';
}

export function createGuestMemfd(vm: Vm, size: bigint, flags: bigint): number {
  const { profile, memory, journal, faults, fds } = vm.machine;
  if (!areValid(profile, vm, flags)) return -errno.EINVAL;
  if (BigInt.asIntN(64, size) <= 0n || !isAligned(size)) return -errno.EINVAL;
  if (fds.isFull) return -errno.EMFILE;
  if (faults.failsNow('inode')) return -errno.ENOMEM;
  const inode = new GuestMemfdInode({
    number: vm.machine.nextNumber(),
    size,
    initially: initialState(profile, flags),
    mappable: (flags & GUEST_MEMFD_FLAG_MMAP) !== 0n,
    countsBlocks: profile.countsBlocks,
    allocator: undefined,
    memory,
    journal,
  });
  return fds.install(new GuestMemfdFile(vm, inode));
}
