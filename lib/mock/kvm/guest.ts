/**
 * A guest that touches memory, page by page, through the VM's second-level page table: what a vCPU would do and what
 * KVM_RUN would report. Source of the order: arch/x86/kvm/mmu/mmu.c, kvm_mmu_faultin_pfn().
 */

import { errno } from '../../abi/errno.ts';
import { wrongValue } from '../../abi/invalid.ts';
import { KVM_MEM_READONLY, KVM_X86_SW_PROTECTED_VM } from '../../abi/kvm.ts';
import { PAGE_SIZE } from '../../abi/linux.ts';
import { KVM_MEMORY_EXIT_FLAG_PRIVATE } from '../../abi/vcpu.ts';
import { getZeroedFolio, type HugePage } from '../guest-memfd/index.ts';
import type { Folio } from '../memory.ts';
import { hasPrivateBit, largestPrivateMapping, type Touch } from '../platform/index.ts';
import { type PageRange, toBytes, toPages } from '../ranges.ts';
import { mappedTogether } from './mapping-size.ts';
import type { Memslot } from './memslots.ts';
import { isPrivate } from './page-state.ts';
import { type Kind, mapsPage, type Translation } from './stage2.ts';
import type { Vm } from './vm.ts';

/** Why the guest stopped. `errno` is negative, as KVM_RUN would return it. */
export type GuestExit =
  | {
      readonly reason: 'memory-fault';
      readonly errno: number;
      readonly flags: bigint;
      readonly gpa: bigint;
      readonly size: bigint;
    }
  | { readonly reason: 'mmio'; readonly gpa: bigint; readonly write: boolean }
  /** KVM_RUN fails and kvm_run does not say why: memory of this process that backs the slot cannot be touched. */
  | { readonly reason: 'failed'; readonly errno: number }
  /** A fault in the guest for which it has no handler: KVM_EXIT_SHUTDOWN. */
  | { readonly reason: 'shutdown' }
  /** The page is being invalidated at this very moment: a vCPU would spin on it. */
  | { readonly reason: 'retry'; readonly gpa: bigint };

export type Access = 'shared' | 'private';

/** A translation for an access of the guest, or why there is none. */
export function translate(vm: Vm, gfn: number, write: boolean, wanted: Access | undefined): Translation | GuestExit {
  const entry = vm.mmio.find(gfn, vm.slots.generation);
  if (entry === 'current') return mmio(gfn, write);
  const slot = vm.slots.find(gfn);
  // Emulated MMIO is shared only, and so is the access that comes by a stale entry.
  return fault(vm, gfn, slot, write, entry === undefined && isPrivateAccess(vm, gfn, slot, wanted));
}

/**
 * KVM_PRE_FAULT_MEMORY stands for a read, and asks no page table: a slot that may only be read can be populated too.
 * Of a guest with private memory it asks for whatever the page is.
 */
export function preFault(vm: Vm, gfn: number): Translation | GuestExit {
  const slot = vm.slots.find(gfn);
  return fault(vm, gfn, slot, false, vm.hasPrivateMemory && isPrivate(vm, gfn, slot));
}

const mmio = (gfn: number, write: boolean): GuestExit => ({ reason: 'mmio', gpa: toBytes(gfn), write });

function fault(
  vm: Vm,
  gfn: number,
  slot: Memslot | undefined,
  write: boolean,
  privateAccess: boolean,
): Translation | GuestExit {
  const present = vm.stage2.get(gfn);
  if (present && present.private === privateAccess && (!write || present.writable)) return present;
  if (vm.machine.faults.failsNow('stage-2')) return { reason: 'failed', errno: -errno.ENOMEM };
  if (privateAccess !== isPrivate(vm, gfn, slot)) return memoryFault(gfn, -errno.EFAULT, privateAccess);
  if (!slot && !privateAccess) {
    // Guests with a private bit say themselves what they ask for, whatever the entry.
    if (vm.type === KVM_X86_SW_PROTECTED_VM) vm.mmio.add(gfn, vm.slots.generation);
    return mmio(gfn, write);
  }
  const made = makeTranslation(vm, gfn, slot, write, privateAccess);
  if ('reason' in made) return made;
  if (!vm.stage2.install(made)) return { reason: 'retry', gpa: toBytes(gfn) };
  vm.mmio.delete(made.gfns);
  return made;
}

function memoryFault(gfn: number, error: number, privateAccess: boolean): GuestExit {
  const flags = privateAccess ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0n;
  return { reason: 'memory-fault', errno: error, flags, gpa: toBytes(gfn), size: BigInt(PAGE_SIZE) };
}

/** Without a private bit of its own, a software-protected guest asks for whatever the page is; a plain one never. */
function isPrivateAccess(vm: Vm, gfn: number, slot: Memslot | undefined, wanted: Access | undefined): boolean {
  if (hasPrivateBit(vm.type)) return wanted !== 'shared';
  if (wanted !== undefined) throw wrongValue('access', 'left out: guests of this VM type have no private bit', wanted);
  return vm.type === KVM_X86_SW_PROTECTED_VM && isPrivate(vm, gfn, slot);
}

function makeTranslation(
  vm: Vm,
  gfn: number,
  slot: Memslot | undefined,
  write: boolean,
  privateAccess: boolean,
): Translation | GuestExit {
  if (!slot) return memoryFault(gfn, -errno.EFAULT, privateAccess);
  if (privateAccess || slot.gmem?.only) return fromGuestMemfd(vm, gfn, slot, privateAccess);
  if (write && slot.flags & KVM_MEM_READONLY) return mmio(gfn, write);
  const address = slot.userspaceAddr + toBytes(gfn - slot.baseGfn);
  const readOnly = (slot.flags & KVM_MEM_READONLY) !== 0;
  const writable = !readOnly && write;
  // hva_to_pfn_fast() is for pages that the guest may come to write.
  const folio = vm.machine.addressSpace.touch(address, writable, readOnly ? 'gup' : 'fast-gup');
  // kvm_handle_error_pfn() answers EFAULT and leaves no memory-fault exit, unlike every refusal of a guest_memfd.
  if (typeof folio === 'number') return { reason: 'failed', errno: -errno.EFAULT };
  return mapsPage(gfn, folio, { writable, private: false });
}

function fromGuestMemfd(vm: Vm, gfn: number, slot: Memslot, isPrivate: boolean): Translation | GuestExit {
  const file = slot.gmem?.file;
  if (!slot.gmem || !file) return memoryFault(gfn, -errno.EFAULT, isPrivate);
  const ahead = slot.gmem.firstPage - slot.baseGfn;
  const folio = getZeroedFolio(file.inode, gfn + ahead);
  if (typeof folio === 'number') return memoryFault(gfn, folio, isPrivate);
  const covered = file.inode.filemap.folioRange(gfn + ahead);
  const gfns = mappedTogether(slot, gfn, covered, largestPrivateMapping(vm.type));
  const kind = { writable: true, private: isPrivate };
  const huge = file.inode.hugePages?.find(gfn + ahead);
  if (huge && gfns.end - gfns.start > 1) return mapsHugePage(vm, gfns, huge, ahead, kind);
  if (isPrivate) vm.hardware.makePrivate(gfn, folio, false);
  return mapsPage(gfn, folio, kind);
}

/** Of a huge page the guest owns what it uses, one page after another. `ahead`: of guest pages, in the file. */
function mapsHugePage(vm: Vm, gfns: PageRange, huge: HugePage, ahead: number, kind: Kind): Translation {
  const folio = (gfn: number): Folio => {
    const page = huge.page(gfn + ahead);
    if (kind.private) vm.hardware.makePrivate(gfn, page, true);
    return page;
  };
  const used = function* (): Generator<[gfn: number, folio: Folio]> {
    for (const [page, folio] of huge.within(gfns.start + ahead, gfns.end + ahead)) yield [page - ahead, folio];
  };
  return { gfns, folio, used, ...kind };
}

/** How a guest touches memory. */
export interface How {
  readonly write: boolean;
  readonly access: Access | undefined;
  /** false: it uses pages that it never accepted. */
  readonly accepts?: boolean;
}

/** Touches [gpa, gpa + length) page by page; `move` handles each piece. The exit that stopped it, if one did. */
export function access(
  vm: Vm,
  gpa: bigint,
  length: number,
  how: How,
  move: (folio: Folio, within: number, at: number, length: number) => void,
): GuestExit | undefined {
  for (let at = 0; at < length; ) {
    const here = gpa + BigInt(at);
    const within = Number(here % BigInt(PAGE_SIZE));
    const found = translate(vm, toPages(here), how.write, how.access);
    // An emulated access is reported byte-exactly, a fault by its page.
    if ('reason' in found) return found.reason === 'mmio' ? { ...found, gpa: here } : found;
    const folio = found.folio(toPages(here));
    const stopped = found.private ? ends(vm.hardware.touch(toPages(here), folio, how.accepts ?? true)) : undefined;
    if (stopped) return stopped;
    const step = Math.min(PAGE_SIZE - within, length - at);
    move(folio, within, at, step);
    at += step;
  }
  return undefined;
}

/** The guest's end, where a page of its own was not to be touched. */
function ends(touch: Touch): GuestExit | undefined {
  if (touch === 'reached') return undefined;
  return touch === 'shutdown' ? { reason: 'shutdown' } : { reason: 'failed', errno: -errno.EIO };
}
