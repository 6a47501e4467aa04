/** Which part of a guest's address says what it asks for, by the guest's type. */

import { expect, test } from 'vitest';
import * as abi from '../../lib/abi/index.ts';
import { guestAddress } from '../../lib/mock/kvm/guest-address.ts';
import type { Vm } from '../../lib/mock/kvm/vm.ts';

const GPA = 0x1_2345_6000n;
const vmOf = (type: number, sharedBit = 0n): Vm => ({ type, hardware: { sharedBit } }) as Vm;

test('TDX: the shared bit, with paging and without', () => {
  const bit = 1n << 47n;
  const vm = vmOf(abi.KVM_X86_TDX_VM, bit);
  for (const paging of [true, false]) {
    expect(guestAddress(vm, GPA, paging)).toEqual({ gpa: GPA, access: 'private' });
    expect(guestAddress(vm, GPA | bit, paging)).toEqual({ gpa: GPA, access: 'shared' });
  }
});

test('SNP: the C-bit of a page table; without one, all is private', () => {
  const vm = vmOf(abi.KVM_X86_SNP_VM);
  expect(guestAddress(vm, GPA | abi.SNP_C_BIT, true)).toEqual({ gpa: GPA, access: 'private' });
  expect(guestAddress(vm, GPA, true)).toEqual({ gpa: GPA, access: 'shared' });
  expect(guestAddress(vm, GPA, false)).toEqual({ gpa: GPA, access: 'private' });
});

test('others have no bit for it', () => {
  const address = GPA | abi.SNP_C_BIT;
  expect(guestAddress(vmOf(abi.KVM_X86_SW_PROTECTED_VM), address, true)).toEqual({ gpa: address, access: undefined });
});
