/** KVM_SET_USER_MEMORY_REGION and REGION2: virt/kvm/kvm_main.c, kvm_set_memory_region(), check by check. */

import { errno } from '../../abi/errno.ts';
import type { IoctlOut } from '../../abi/ioctl.ts';
import {
  KVM_MEM_GUEST_MEMFD,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  type KVM_SET_USER_MEMORY_REGION2,
} from '../../abi/kvm.ts';
import { hasProtectedState } from '../platform/index.ts';
import { isUserRange } from '../process/index.ts';
import { isAligned, toBytes, toPages, wraps } from '../ranges.ts';
import { bindGuestMemfd } from './bind-guest-memfd.ts';
import { gfnRange, type Memslot } from './memslots.ts';
import type { Vm } from './vm.ts';

export type Region = IoctlOut<typeof KVM_SET_USER_MEMORY_REGION2>;

/** KVM_MEM_MAX_NR_PAGES: dirty bitmaps are indexed with an int. */
const MAX_PAGES = 0x7fff_ffff;
/** KVM_USER_MEM_SLOTS on x86: SHRT_MAX less KVM's own. */
const USER_SLOTS = 32764;
/** kvm_mmu_max_gfn() of a host with 52 physical address bits. */
const MAX_GFN = 2 ** 40 - 1;

export function setMemoryRegion(vm: Vm, region: Region): number {
  if ((region.slot & 0xffff) >= USER_SLOTS) return -errno.EINVAL;
  if (!flagsAreValid(vm, region.flags) || !isWellFormed(vm, region)) return -errno.EINVAL;
  const old = vm.slots.get(region.slot >>> 16, region.slot & 0xffff);
  if (region.memory_size === 0n) return remove(vm, old);
  if (old) return modify(vm, old, region);
  return create(vm, region);
}

/** check_memory_region_flags(): no dirty log and no read-only slots for guest_memfd. */
function flagsAreValid(vm: Vm, flags: number): boolean {
  let valid = KVM_MEM_GUEST_MEMFD;
  if (!(flags & KVM_MEM_GUEST_MEMFD)) {
    valid |= KVM_MEM_LOG_DIRTY_PAGES;
    if (!hasProtectedState(vm.type)) valid |= KVM_MEM_READONLY;
  }
  return (flags & ~valid) === 0;
}

function isWellFormed(vm: Vm, region: Region): boolean {
  const { memory_size, guest_phys_addr, userspace_addr, guest_memfd_offset } = region;
  if (!isAligned(memory_size) || !isAligned(guest_phys_addr) || !isAligned(userspace_addr)) return false;
  if (!isUserRange(userspace_addr, memory_size)) return false;
  if (region.flags & KVM_MEM_GUEST_MEMFD) {
    if (!isAligned(guest_memfd_offset) || wraps(guest_memfd_offset, memory_size)) return false;
  }
  const spaces = vm.hasPrivateMemory ? 1 : vm.machine.profile.addressSpaces;
  if (region.slot >>> 16 >= spaces) return false;
  if (wraps(guest_phys_addr, memory_size)) return false;
  return toPages(memory_size) <= MAX_PAGES;
}

function remove(vm: Vm, old: Memslot | undefined): number {
  if (!old) return -errno.EINVAL;
  vm.removeSlot(old);
  return 0;
}

/** Of an existing slot only the dirty-log flag and the place may change; a guest_memfd slot can only be deleted. */
function modify(vm: Vm, old: Memslot, region: Region): number {
  if (region.flags & KVM_MEM_GUEST_MEMFD) return -errno.EINVAL;
  const fixed = KVM_MEM_READONLY | KVM_MEM_GUEST_MEMFD;
  if (region.userspace_addr !== old.userspaceAddr || toPages(region.memory_size) !== old.pages) return -errno.EINVAL;
  if ((region.flags ^ old.flags) & fixed) return -errno.EINVAL;
  const moved: Memslot = { ...old, flags: region.flags, baseGfn: toPages(region.guest_phys_addr) };
  if (moved.baseGfn === old.baseGfn && moved.flags === old.flags) return 0;
  if (moved.baseGfn !== old.baseGfn) {
    if (vm.slots.overlapping(old.addressSpace, old.id, gfnRange(moved))) return -errno.EEXIST;
    if (!isInReach(vm, moved)) return -errno.EINVAL;
    vm.unmap(gfnRange(old));
  }
  vm.slots.put(moved);
  return 0;
}

/** kvm_arch_prepare_memory_region(): below what the page tables hold, and below a TD's shared bit. */
function isInReach(vm: Vm, slot: Memslot): boolean {
  const last = gfnRange(slot).end - 1;
  return last <= MAX_GFN && !(toBytes(last) & vm.hardware.sharedBit);
}

function create(vm: Vm, region: Region): number {
  const slot: Memslot = {
    title: `vm ${vm.number} slot ${region.slot & 0xffff}`,
    addressSpace: region.slot >>> 16,
    id: region.slot & 0xffff,
    baseGfn: toPages(region.guest_phys_addr),
    pages: toPages(region.memory_size),
    flags: region.flags,
    userspaceAddr: region.userspace_addr,
    gmem: undefined,
  };
  if (vm.slots.overlapping(slot.addressSpace, slot.id, gfnRange(slot))) return -errno.EEXIST;
  if (vm.machine.faults.failsNow('memslot')) return -errno.ENOMEM;
  const inReach = isInReach(vm, slot);
  if (region.flags & KVM_MEM_GUEST_MEMFD) {
    const error = bindGuestMemfd(vm, slot, region.guest_memfd, region.guest_memfd_offset, inReach);
    if (error !== 0) return error;
  }
  if (!inReach) return -errno.EINVAL;
  vm.slots.put(slot);
  return 0;
}
