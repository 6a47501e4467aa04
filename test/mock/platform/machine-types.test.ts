/** What platforms have in common: facts of machine types, and the noise that stands for encryption. */

import { expect, test } from 'vitest';
import * as abi from '../../../lib/abi/index.ts';
import { Folio } from '../../../lib/mock/memory.ts';
import { largestPrivateMapping, machineTypes } from '../../../lib/mock/platform/index.ts';
import { plain, scramble, scrambled } from '../../../lib/mock/platform/scramble.ts';

test('hardware maps private memory by the page (TDX), by 2 MiB (SNP), or is not asked', () => {
  const types = [abi.KVM_X86_TDX_VM, abi.KVM_X86_SNP_VM, abi.KVM_X86_SW_PROTECTED_VM];
  expect(types.map(largestPrivateMapping)).toEqual([1, 512, Number.POSITIVE_INFINITY]);
});

test('a default VM is always there, beside what is offered', () => {
  const bit = (type: number): number => 1 << type;
  expect(machineTypes([], false)).toBe(bit(abi.KVM_X86_DEFAULT_VM));
  expect(machineTypes([abi.KVM_X86_TDX_VM], true)).toBe(
    bit(abi.KVM_X86_DEFAULT_VM) | bit(abi.KVM_X86_SW_PROTECTED_VM) | bit(abi.KVM_X86_TDX_VM),
  );
});

test.each([
  [undefined, [0x5a, 0x01, 0xa8]],
  [7, [0xf7, 0x9e, 0x45]],
])('noise has its own bytes for each place and key (key %s)', (key, expected) => {
  expect([...scrambled(new Folio(7), key).subarray(0, 3)]).toEqual(expected);
});

test.each([[undefined], [7]])('noise is the same each time, and undone by itself (key %s)', (key) => {
  const folio = new Folio(7);
  folio.bytes.fill(0x33);
  const before = plain(folio);
  const noise = scrambled(folio, key);
  expect(plain(folio)).toEqual(before);
  expect(noise).not.toEqual(before);
  scramble(folio, key);
  expect(plain(folio)).toEqual(noise);
  scramble(folio, key);
  expect(plain(folio)).toEqual(before);
});
