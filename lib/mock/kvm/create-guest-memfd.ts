/** KVM_CREATE_GUEST_MEMFD: which flags a VM may ask for, and what they mean on this kernel. */

import { errno } from '../../abi/errno.ts';
import {
  GUEST_MEMFD_FLAG_HUGETLB,
  GUEST_MEMFD_FLAG_INIT_PRIVATE,
  GUEST_MEMFD_FLAG_INIT_SHARED,
  GUEST_MEMFD_FLAG_MMAP,
  GUEST_MEMFD_FLAG_SUPPORT_SHARED,
  GUESTMEM_HUGETLB_FLAG_MASK,
  GUESTMEM_HUGETLB_FLAG_SHIFT,
} from '../../abi/guest-memfd.ts';
import { hugePageShifts } from '../../abi/huge-pages.ts';
import { GuestMemfdInode, type Shareability } from '../guest-memfd/index.ts';
import { DEFAULT_POOL_SIZE, poolSizes, type Reservation } from '../huge-page-pool.ts';
import type { Profile } from '../profile.ts';
import { isAligned } from '../ranges.ts';
import { GuestMemfdFile } from './guest-memfd-file.ts';
import type { Machine } from './machine.ts';
import type { Vm } from './vm.ts';

/** kvm_gmem_get_supported_flags() of released kernels: sharing from the start is for VMs without private memory only. */
export function supportedFlags(profile: Profile, vm: Vm | undefined): bigint {
  if (profile.conversion === 'rfc-convert') return GUEST_MEMFD_FLAG_SUPPORT_SHARED | GUEST_MEMFD_FLAG_INIT_PRIVATE;
  const initShared = !vm?.hasPrivateMemory || profile.conversion === 'attributes2';
  return GUEST_MEMFD_FLAG_MMAP | (initShared ? GUEST_MEMFD_FLAG_INIT_SHARED : 0n);
}

function areValid(profile: Profile, vm: Vm, flags: bigint): boolean {
  if (profile.conversion === 'rfc-convert') return areValidInRfc(profile, flags);
  return (flags & ~supportedFlags(profile, vm)) === 0n;
}

/** RFC v2: INIT_PRIVATE says how sharing starts (patch 02), a size which huge pages (patch 41): each needs its flag. */
function areValidInRfc(profile: Profile, flags: bigint): boolean {
  let valid = GUEST_MEMFD_FLAG_SUPPORT_SHARED;
  if (flags & GUEST_MEMFD_FLAG_SUPPORT_SHARED) valid |= GUEST_MEMFD_FLAG_INIT_PRIVATE;
  if (profile.hugePages && flags & GUEST_MEMFD_FLAG_HUGETLB)
    valid |= GUEST_MEMFD_FLAG_HUGETLB | GUESTMEM_HUGETLB_FLAG_MASK;
  return (flags & ~valid) === 0n;
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
  const allocator = flags & GUEST_MEMFD_FLAG_HUGETLB ? reserve(vm.machine, size, flags) : undefined;
  if (typeof allocator === 'number') return allocator;
  const inode = new GuestMemfdInode({
    number: vm.machine.nextNumber(),
    size,
    initially: initialState(profile, flags),
    mappable: (flags & GUEST_MEMFD_FLAG_MMAP) !== 0n,
    countsBlocks: profile.countsBlocks,
    allocator,
    memory,
    journal,
  });
  return fds.install(new GuestMemfdFile(vm, inode));
}

/** guestmem_hugetlb_setup(): all of the file's huge pages are set aside now, so that no fault finds the pool empty. */
function reserve({ hugePages, faults }: Machine, size: bigint, flags: bigint): Reservation | number {
  const shift = Number(flags >> GUESTMEM_HUGETLB_FLAG_SHIFT);
  const name = shift === 0 ? DEFAULT_POOL_SIZE : poolSizes.find((known) => hugePageShifts[known] === shift);
  const pool = name && hugePages.get(name);
  if (!pool || size % BigInt(pool.size) !== 0n) return -errno.EINVAL;
  return pool.reserve(Number(size / BigInt(pool.size)), faults);
}
