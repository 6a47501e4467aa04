/** Commands of SEV and TDX whose own struct the kernel cannot read or write: the seam lets no such pointer through. */

import { describe, expect, test } from 'vitest';
import * as abi from '../../../lib/abi/index.ts';
import {
  createPlatform,
  type GuestHardware,
  type HostVm,
  type ProcessMemory,
} from '../../../lib/mock/platform/index.ts';
import { pinMemory } from '../../../lib/mock/platform/snp/pin-memory.ts';
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

test('SEV pins no more than the kernel counts in an int', () => {
  const nothing = { pin: () => undefined } as unknown as ProcessMemory;
  const pages = (count: bigint): unknown => pinMemory(nothing, 0x1000n, count << 12n, false);
  expect(pages((1n << 31n) - 1n)).toBe(-abi.errno.ENOMEM);
  expect(pages(1n << 31n)).toBe(-abi.errno.EINVAL);
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
