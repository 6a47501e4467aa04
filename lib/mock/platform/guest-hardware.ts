/** What the hardware keeps of one VM, and what it needs of KVM to do so. */

import type { Folio } from '../memory.ts';
import type { UserMemory } from '../process/index.ts';

/** A VM as its hardware sees it. */
export interface HostVm {
  readonly number: number;
  readonly type: number;
  /** vCPUs that were made, and are there. */
  readonly createdVcpus: number;
  /** Memory of the process that owns the VM. */
  readonly process: ProcessMemory;
  /** Whether KVM tracks private memory in the guest_memfd: a launch may then take what a page holds already. */
  readonly convertsInPlace: boolean;
  /** KVM_CAP_SPLIT_IRQCHIP is on. */
  readonly hasSplitIrqchip: boolean;
  /** KVM_BUG_ON(). */
  kill(): void;
  /** A test has planned that the SEAMCALL made now fails. */
  seamcallFails(): boolean;
  /** Whether an fd of the process is the driver's file. */
  isDriverFile(fd: number): boolean;
  /**
   * kvm_gmem_populate(): hands private pages of a memory region to `populate`, each with its source; stops at the end
   * of the region or at the first refusal. How many were done, or -errno.
   */
  populate(gfn: number, pages: number, source: Source | undefined, populate: Populate): number;
  /** Whether there is a memory region with a guest_memfd at a guest page. */
  hasGuestMemfd(gfn: number): boolean;
  /** kvm_tdp_mmu_map_private_pfn(): the page enters the second-level page table. */
  mapPrivate(gfn: number, folio: Folio): void;
}

/** Memory of the process that pages are filled from. */
export interface Source {
  readonly address: bigint;
  /** It must be writable too: may_writeback_src. */
  readonly writable: boolean;
}

/** -errno where the page is refused. `source`: what is to be in it; undefined where it stays as it is. */
export type Populate = (gfn: number, folio: Folio, source: Uint8Array | undefined) => number | undefined;

export interface ProcessMemory {
  /** Pages that the host has. */
  readonly ramPages: number;
  /** Pages that the process may lock; undefined where there is no limit. */
  readonly memlock: number | undefined;
  /** undefined: EFAULT. */
  read(address: bigint, size: number): Uint8Array | undefined;
  /** false: EFAULT. */
  write(address: bigint, bytes: Uint8Array): boolean;
  /** pin_user_pages(): holds the pages of a range. What lets them go, or undefined where some are not to be had. */
  pin(address: bigint, size: bigint, write: boolean): (() => void) | undefined;
}

/** How a guest's access to a page of its own ends. */
export type Touch =
  | 'reached'
  /** The guest dies of a fault that it has no handler for. */
  | 'shutdown'
  /** KVM kills the VM: KVM_RUN answers EIO. */
  | 'killed';

export interface GuestHardware {
  /** Whether the guest can run: it was launched, or needs no launch. */
  readonly isLaunched: boolean;
  /** vcpu_needs_initialization(): KVM_RUN answers EINVAL. */
  needsInitialization(vcpu: number): boolean;
  /** Whether the CPU itself refuses to enter: the launch is not finished, or was without this vCPU. */
  entryFails(vcpu: number): boolean;
  /** kvm->arch.pre_fault_allowed. */
  readonly preFaultAllowed: boolean;
  /** vcpu->arch.guest_state_protected: registers are shown and taken no more. */
  sealsRegisters(vcpu: number): boolean;
  /** kvm->arch.gfn_direct_bits, in an address: which bit the guest sets for shared memory; 0n where it has none. */
  readonly sharedBit: bigint;
  /** kvm_x86_ops.vcpu_create(): 0, or -errno. */
  createVcpu(id: number): number;
  /** A page becomes the guest's own. `large`: it may be given 2 MiB around it at once. */
  makePrivate(gfn: number, folio: Folio, large: boolean): void;
  /** The guest touches a page of its own. `accepts`: it takes new pages before it uses them, as guests do. */
  touch(gfn: number, folio: Folio, accepts: boolean): Touch;
  /** A private page left the guest's tables. Absent where that changes nothing for the hardware. */
  unmapPrivate?(gfn: number): void;
  /** KVM_MEMORY_ENCRYPT_OP on the VM's fd. */
  command(user: UserMemory): number;
  /** KVM_MEMORY_ENCRYPT_OP on a vCPU's fd. */
  vcpuCommand(id: number, user: UserMemory): number;
  /** KVM_MEMORY_ENCRYPT_REG_REGION and _UNREG_REGION. */
  registerRegion(address: bigint, size: bigint): number;
  unregisterRegion(address: bigint, size: bigint): number;
  /** The VM is gone, and its memory regions before it. */
  destroy(): void;
}
