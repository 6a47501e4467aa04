/** An address as the guest has it: what it leads to, and what the guest takes that for. */

import { KVM_X86_SNP_VM, KVM_X86_TDX_VM } from '../../abi/kvm.ts';
import { SNP_C_BIT } from '../../abi/sev.ts';
import type { Access } from './guest.ts';
import type { Vm } from './vm.ts';

export interface GuestAddress {
  readonly gpa: bigint;
  /** undefined: this type of guest has no bit to say so. */
  readonly access: Access | undefined;
}

/**
 * TDX: the shared bit of the address, which the VMM chose. SNP: the C-bit of the page table; without paging all that a
 * guest touches is private.
 */
export function guestAddress(vm: Vm, address: bigint, paging: boolean): GuestAddress {
  switch (vm.type) {
    case KVM_X86_TDX_VM: {
      const { sharedBit } = vm.hardware;
      return { gpa: address & ~sharedBit, access: address & sharedBit ? 'shared' : 'private' };
    }
    case KVM_X86_SNP_VM:
      return { gpa: address & ~SNP_C_BIT, access: !paging || address & SNP_C_BIT ? 'private' : 'shared' };
    default:
      return { gpa: address, access: undefined };
  }
}
