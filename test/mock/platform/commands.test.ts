/** Commands of SEV and TDX as no case can give them, and what the mocked hosts have: keys, attributes, memory to pin. */

import { describe, expect, test } from 'vitest';
import * as abi from '../../../lib/abi/index.ts';
import {
  createPlatform,
  type GuestHardware,
  type HostVm,
  type ProcessMemory,
} from '../../../lib/mock/platform/index.ts';
import { EncryptedRegions } from '../../../lib/mock/platform/snp/encrypted-regions.ts';
import { numberArgument, type UserMemory } from '../../../lib/mock/process/index.ts';

const POINTER = 0x10_0000n;
/** What a VM must be for a launch's first command. */
const host = (type: number): HostVm =>
  ({ type, createdVcpus: 0, process: { read: (_address, size) => new Uint8Array(size) } }) as HostVm;
const readOnly = (bytes: Uint8Array): UserMemory => ({
  value: POINTER,
  read: (size) => (size === bytes.length ? bytes : undefined),
  write: () => false,
});
const command = (hardware: GuestHardware, user: UserMemory): number => hardware.command(user);

describe('SEV', () => {
  const guest = (): GuestHardware => createPlatform('sev-snp').createGuest(host(abi.KVM_X86_SNP_VM));
  const init = abi.kvm_sev_cmd.encode({ id: abi.KVM_SEV_INIT2.id });

  test('no pointer asks whether there is SEV, one that leads nowhere is EFAULT', () => {
    expect(command(guest(), numberArgument(0n))).toBe(0);
    expect(command(guest(), numberArgument(POINTER))).toBe(-abi.errno.EFAULT);
  });

  test('a command whose answer cannot be written is done all the same', () => {
    const hardware = guest();
    expect(hardware.needsInitialization(0)).toBe(true);
    expect(command(hardware, readOnly(init))).toBe(-abi.errno.EFAULT);
    expect(hardware.needsInitialization(0)).toBe(false);
  });

  test('guests have keys of their own, up to a number, and give them back', () => {
    const platform = createPlatform('sev-snp');
    const another = (): GuestHardware => platform.createGuest(host(abi.KVM_X86_SNP_VM));
    const initOf = (hardware: GuestHardware): number => command(hardware, { ...readOnly(init), write: () => true });
    const guests = Array.from({ length: 99 }, another);
    for (const one of guests) expect(initOf(one)).toBe(0);
    expect(initOf(another())).toBe(-abi.errno.EBUSY);
    guests[41]!.destroy();
    expect(initOf(another())).toBe(0);
    expect(initOf(another())).toBe(-abi.errno.EBUSY);
  });
});

test('SEV-SNP offers what the first of its firmware did', () => {
  const { attribute } = createPlatform('sev-snp');
  expect(attribute!(abi.KVM_X86_SNP_POLICY_BITS)).toBe(0x1f_ffffn);
  expect(attribute!(abi.KVM_X86_SEV_VMSA_FEATURES)).toBe(0x20n);
  expect(attribute!(abi.KVM_X86_SEV_SNP_REQ_CERTS)).toBe(1n);
  expect(attribute!(77n)).toBeUndefined();
});

test('SEV pins as much as the host has, and as the process may lock', () => {
  let pinned = 0;
  const pin = (): (() => void) => {
    pinned++;
    return () => pinned--;
  };
  const regionsOf = (memlock: number | undefined) =>
    new EncryptedRegions({ ramPages: 8, memlock, pin } as unknown as ProcessMemory);
  const pages = (count: number): bigint => BigInt(count) << 12n;
  const limited = regionsOf(4);
  expect(limited.add(pages(16), pages(3))).toBe(0);
  expect(limited.add(pages(32) - 1n, pages(1))).toBe(-abi.errno.ENOMEM);
  expect(limited.add(pages(32), pages(6))).toBe(-abi.errno.EINVAL);
  expect(limited.add(pages(32), pages(1))).toBe(0);
  expect(limited.remove(pages(16), pages(3))).toBe(0);
  expect(limited.add(pages(32) - 1n, pages(1))).toBe(0);
  limited.removeAll();
  expect(pinned).toBe(0);
  const unlimited = regionsOf(undefined);
  expect(unlimited.add(pages(16), pages(9))).toBe(-abi.errno.EINVAL);
  expect(unlimited.add(pages(16), pages(8))).toBe(0);
});

describe('TDX', () => {
  const guest = (): GuestHardware => createPlatform('tdx').createGuest(host(abi.KVM_X86_TDX_VM));

  test('a pointer that leads nowhere is EFAULT', () => {
    expect(command(guest(), numberArgument(0n))).toBe(-abi.errno.EFAULT);
    expect(guest().vcpuCommand(0, numberArgument(POINTER))).toBe(-abi.errno.EFAULT);
  });

  test('an answer that cannot be written is EFAULT', () => {
    const finalize = abi.kvm_tdx_cmd.encode({ id: abi.KVM_TDX_FINALIZE_VM.id });
    expect(command(guest(), readOnly(finalize))).toBe(-abi.errno.EFAULT);
  });
});
