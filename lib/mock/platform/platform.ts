/**
 * What differs by architecture: which VMs there are, how a guest says "private", and what letting go of a page does to
 * it. KVM's part of the mock asks; guest_memfd's core never does.
 */

import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SEV_ES_VM,
  KVM_X86_SEV_VM,
  KVM_X86_SNP_VM,
  KVM_X86_SW_PROTECTED_VM,
  KVM_X86_TDX_VM,
} from '../../abi/kvm.ts';
import type { Folio } from '../memory.ts';

export type PlatformName = 'software-protected' | 'sev-snp' | 'tdx';

export interface Platform {
  readonly name: PlatformName;
  /** Machine types beyond KVM_X86_DEFAULT_VM and KVM_X86_SW_PROTECTED_VM, which need no hardware. */
  readonly machineTypes: readonly number[];
  /** Whether private and shared stage-2 mappings lie in tables of their own, so that an unmap can choose one kind. */
  readonly separateTables: boolean;
  /** A page is handed to a confidential guest as private memory. */
  makePrivate(folio: Folio): void;
  /** A private page leaves a confidential guest's tables. */
  unmapPrivate(folio: Folio): void;
  /** A page that a confidential guest has had as private memory becomes shared: kvm_arch_gmem_make_shared(), of SNP. */
  makeShared?(folio: Folio): void;
}

/** A guest whose own page tables or addresses say which accesses are private. */
export const hasPrivateBit = (machineType: number): boolean =>
  machineType === KVM_X86_SNP_VM || machineType === KVM_X86_TDX_VM;

/** kvm_arch_has_private_mem(). */
export const hasPrivateMemory = (machineType: number): boolean =>
  machineType === KVM_X86_SW_PROTECTED_VM || hasPrivateBit(machineType);

/** kvm->arch.has_protected_state: such a VM has no read-only memslots. */
export const hasProtectedState = (machineType: number): boolean =>
  machineType === KVM_X86_SEV_ES_VM || hasPrivateBit(machineType);

/** Bytes nobody wrote: what reads back where hardware promises nothing. The same for every run. */
function scramble(folio: Folio): void {
  const { bytes } = folio;
  for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! ^ ((i * 167 + 0x5a) & 0xff);
}

const nothing = (): void => {};

export const platforms: Readonly<Record<PlatformName, Platform>> = {
  'software-protected': {
    name: 'software-protected',
    machineTypes: [],
    separateTables: false,
    makePrivate: nothing,
    unmapPrivate: nothing,
  },
  /** The page's memory is encrypted with the guest's key in place: each side sees the other's bytes as noise. */
  'sev-snp': {
    name: 'sev-snp',
    machineTypes: [KVM_X86_SEV_VM, KVM_X86_SEV_ES_VM, KVM_X86_SNP_VM],
    separateTables: false,
    makePrivate: scramble,
    unmapPrivate: nothing,
    makeShared: scramble,
  },
  /** Removing a page from the secure EPT loses its contents; adding one clears it. */
  tdx: {
    name: 'tdx',
    machineTypes: [KVM_X86_TDX_VM],
    separateTables: true,
    makePrivate: (folio) => folio.zero(),
    unmapPrivate: scramble,
  },
};

export const platformNames = Object.keys(platforms) as readonly PlatformName[];

/** Bit mask of KVM_CAP_VM_TYPES. */
export function machineTypes(platform: Platform, softwareProtected: boolean): number {
  const types = [KVM_X86_DEFAULT_VM, ...platform.machineTypes];
  if (softwareProtected) types.push(KVM_X86_SW_PROTECTED_VM);
  return types.reduce((mask, type) => mask | (1 << type), 0);
}
