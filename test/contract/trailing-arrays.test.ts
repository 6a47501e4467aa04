/** Requests whose struct is followed by an array: the kernel writes as many entries as the struct says there is room for. */

import { afterEach, describe, expect, test } from 'vitest';
import { createMock } from '../../lib/mock/index.ts';
import { openBackend } from '../../lib/syscalls/open.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { missingFor } from './missing.ts';

const KVM_GET_SUPPORTED_CPUID = 0xc008_ae05;
const KVM_GET_REG_LIST = 0xc008_aeb0;
const CPUID_ENTRY = 40;

/** A struct that claims room for `entries`, in a buffer with room for `fits`. */
function cpuid(entries: number, fits: number): Uint8Array {
  const bytes = new Uint8Array(8 + fits * CPUID_ENTRY);
  new DataView(bytes.buffer).setUint32(0, entries, true);
  return bytes;
}

const backends = {
  native: () => openBackend('native'),
  ffi: () => openBackend('ffi'),
  mock: () => createMock().syscalls,
} as const;

describe.each(['native', 'ffi', 'mock'] as const)('%s', (name) => {
  const missing = name === 'mock' ? undefined : missingFor(name);
  const open: Syscalls[] = [];
  const kvmOf = (): { syscalls: Syscalls; kvm: number } => {
    const syscalls = backends[name]();
    open.push(syscalls);
    return { syscalls, kvm: syscalls.openSync('/dev/kvm', 2) };
  };
  afterEach(() => {
    for (const syscalls of open.splice(0)) syscalls.dispose();
  });

  test('claims beyond the buffer are refused before the kernel sees them', async (context) => {
    if (missing) context.skip(missing);
    const { syscalls, kvm } = kvmOf();
    const tooSmall = expect.objectContaining({ name: 'RangeError', code: 'ERR_BUFFER_OUT_OF_BOUNDS' });
    expect(() => syscalls.ioctlSync(kvm, KVM_GET_SUPPORTED_CPUID, cpuid(100, 99))).toThrowError(tooSmall);
    await expect(syscalls.ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid(0xffff_ffff, 1))).rejects.toThrowError(tooSmall);
    expect(() => syscalls.ioctlSync(kvm, KVM_GET_REG_LIST, new Uint8Array(8).fill(0xff))).toThrowError(tooSmall);
    syscalls.closeSync(kvm);
  });

  test('neither many of them nor one in mapped memory can be checked, so both are refused', (context) => {
    if (missing) context.skip(missing);
    const { syscalls, kvm } = kvmOf();
    const outOfRange = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(() => syscalls.ioctlManySync(kvm, KVM_GET_SUPPORTED_CPUID, cpuid(0, 1))).toThrowError(outOfRange);
    expect(() => syscalls.ioctlSync(kvm, KVM_GET_SUPPORTED_CPUID, { address: 0x1000n })).toThrowError(outOfRange);
    syscalls.closeSync(kvm);
  });

  test('with room for all it claims, the kernel answers', (context) => {
    if (missing) context.skip(missing);
    if (name === 'mock') context.skip('the mock has no CPUID');
    const { syscalls, kvm } = kvmOf();
    const bytes = cpuid(256, 256);
    expect(syscalls.ioctlSync(kvm, KVM_GET_SUPPORTED_CPUID, bytes)).toBe(0);
    expect(new DataView(bytes.buffer).getUint32(0, true)).toBeGreaterThan(0);
    syscalls.closeSync(kvm);
  });
});
