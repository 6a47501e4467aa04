/** The machine types of x86 by the names this package uses. */

import {
  KVM_X86_DEFAULT_VM,
  KVM_X86_SEV_ES_VM,
  KVM_X86_SEV_VM,
  KVM_X86_SNP_VM,
  KVM_X86_SW_PROTECTED_VM,
  KVM_X86_TDX_VM,
} from '../abi/kvm.ts';

/** KVM_CREATE_VM's argument, by name. */
export const vmTypeNumbers = {
  default: KVM_X86_DEFAULT_VM,
  'sw-protected': KVM_X86_SW_PROTECTED_VM,
  sev: KVM_X86_SEV_VM,
  'sev-es': KVM_X86_SEV_ES_VM,
  snp: KVM_X86_SNP_VM,
  tdx: KVM_X86_TDX_VM,
} as const;

export type VmType = keyof typeof vmTypeNumbers;

export const vmTypeNames = Object.keys(vmTypeNumbers) as readonly VmType[];

/**
 * The types in KVM_CAP_VM_TYPES's bit mask. Other architectures, and x86 before 6.8, answer 0 and mean the default only;
 * on arm64 KVM_CREATE_VM's argument is the size of the guest's address space, so 0 is right there too.
 */
export function vmTypesOf(mask: number): VmType[] {
  return vmTypeNames.filter((name) => name === 'default' || (mask & (1 << vmTypeNumbers[name])) !== 0);
}
