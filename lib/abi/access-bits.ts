/**
 * How guests of some VM types say whether they take a page for shared or private: by a bit of the address in their own
 * page tables. On SEV-SNP the set bit means private (the C-bit, whose place CPUID 0x8000001f tells), on TDX shared.
 */

import { KVM_X86_SNP_VM, KVM_X86_TDX_VM } from './kvm.ts';

/** Where the bit is on every such CPU there is: the last of a guest-physical address of 52 bits. */
export const ACCESS_BIT = 1n << 51n;

export interface AccessBits {
  readonly shared: bigint;
  readonly private: bigint;
}

/** By VM type; the others have no such bit. */
export const accessBits: Readonly<Record<number, AccessBits>> = {
  [KVM_X86_SNP_VM]: { shared: 0n, private: ACCESS_BIT },
  [KVM_X86_TDX_VM]: { shared: ACCESS_BIT, private: 0n },
};
