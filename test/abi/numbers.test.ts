/** The request numbers, as the kernel's headers give them: the registers' are x86's, the others' the same everywhere. */

import { expect, test } from 'vitest';
import { findIoctl, ioctls, requestName, requestNr, requestSize, requestType } from '../../lib/abi/index.ts';

const NUMBERS = {
  KVM_GET_API_VERSION: 0x0000_ae00,
  KVM_CREATE_VM: 0x0000_ae01,
  KVM_CHECK_EXTENSION: 0x0000_ae03,
  KVM_ENABLE_CAP: 0x4068_aea3,
  KVM_SET_USER_MEMORY_REGION: 0x4020_ae46,
  KVM_SET_USER_MEMORY_REGION2: 0x40a0_ae49,
  KVM_SET_MEMORY_ATTRIBUTES: 0x4020_aed2,
  KVM_CREATE_GUEST_MEMFD: 0xc040_aed4,
  KVM_GMEM_CONVERT_SHARED: 0xc040_af41,
  KVM_GMEM_CONVERT_PRIVATE: 0xc040_af42,
  KVM_SET_MEMORY_ATTRIBUTES2: 0xc080_aed2,
  KVM_GET_VCPU_MMAP_SIZE: 0x0000_ae04,
  KVM_CREATE_VCPU: 0x0000_ae41,
  KVM_RUN: 0x0000_ae80,
  KVM_GET_REGS: 0x8090_ae81,
  KVM_SET_REGS: 0x4090_ae82,
  KVM_GET_SREGS: 0x8138_ae83,
  KVM_SET_SREGS: 0x4138_ae84,
  KVM_GET_SUPPORTED_CPUID: 0xc008_ae05,
  KVM_SET_CPUID2: 0x4008_ae90,
  KVM_GET_MP_STATE: 0x8004_ae98,
  KVM_SET_MP_STATE: 0x4004_ae99,
  KVM_PRE_FAULT_MEMORY: 0xc040_aed5,
};

test('the ioctls of the table have their numbers', () => {
  expect(Object.fromEntries(ioctls.map(({ name, ioctl }) => [name, ioctl.request]))).toMatchObject(NUMBERS);
});

test.each(ioctls)('$name: the number says the size of its struct', ({ ioctl }) => {
  expect(requestSize(ioctl.request)).toBe(ioctl.struct?.size ?? 0);
});

test('a number is taken apart as it was put together', () => {
  const request = NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2;
  expect([requestType(request), requestNr(request), requestSize(request)]).toEqual([0xae, 0xd2, 128]);
});

test('an ioctl is found by its whole number and the kind of fd, never by type and nr', () => {
  expect(findIoctl('guest-memfd', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2)?.name).toBe('KVM_SET_MEMORY_ATTRIBUTES2');
  expect(findIoctl('vm', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES)?.name).toBe('KVM_SET_MEMORY_ATTRIBUTES');
  expect(findIoctl('vm', NUMBERS.KVM_SET_MEMORY_ATTRIBUTES2)).toBeUndefined();
  // VHOST_SCSI_CLEAR_ENDPOINT: the same type and nr as KVM_GMEM_CONVERT_SHARED.
  expect(findIoctl('guest-memfd', 0x40e8_af41)).toBeUndefined();
});

test('no two ioctls of one kind of fd share a number', () => {
  const keys = ioctls.flatMap(({ ioctl }) => ioctl.on.map((kind) => `${kind} ${ioctl.request}`));
  expect(new Set(keys).size).toBe(keys.length);
});

test('an unknown number is shown as it stands in a trace', () => {
  expect(requestName(0x40e8_af41)).toBe('0x40e8af41');
  expect(requestName(NUMBERS.KVM_GMEM_CONVERT_PRIVATE)).toBe('KVM_GMEM_CONVERT_PRIVATE');
});
