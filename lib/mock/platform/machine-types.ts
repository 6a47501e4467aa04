/** What a VM's machine type says of its memory. */

import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SEV_ES_VM,
  KVM_X86_SNP_VM,
  KVM_X86_SW_PROTECTED_VM,
  KVM_X86_TDX_VM,
} from '../../abi/kvm.ts';

/** A guest whose own page tables or addresses say which accesses are private. */
export const hasPrivateBit = (machineType: number): boolean =>
  machineType === KVM_X86_SNP_VM || machineType === KVM_X86_TDX_VM;

/** kvm_arch_has_private_mem(). */
export const hasPrivateMemory = (machineType: number): boolean =>
  machineType === KVM_X86_SW_PROTECTED_VM || hasPrivateBit(machineType);

/** kvm->arch.has_protected_state: such a VM has no read-only memslots. */
export const hasProtectedState = (machineType: number): boolean =>
  machineType === KVM_X86_SEV_ES_VM || hasPrivateBit(machineType);

/** Pages of the largest private mapping that hardware takes: kvm_x86_ops.private_max_mapping_level(). */
export function largestPrivateMapping(machineType: number): number {
  if (machineType === KVM_X86_TDX_VM) return 1;
  return machineType === KVM_X86_SNP_VM ? 512 : Number.POSITIVE_INFINITY;
}

/** Bit mask of KVM_CAP_VM_TYPES. `offered`: the types that the hardware adds. */
export function machineTypes(offered: readonly number[], softwareProtected: boolean): number {
  const types = softwareProtected ? [...offered, KVM_X86_SW_PROTECTED_VM] : offered;
  return types.reduce((mask, type) => mask | (1 << type), 1 << KVM_X86_DEFAULT_VM);
}
