import { expect, test } from 'vitest';
import { errno, MAP_SHARED, PROT_READ } from '../../lib/abi/index.ts';
import { boot, PAGE } from './machine.ts';

test('mmap beyond 2^63 is EOVERFLOW for a guest_memfd; a VM has no such end, and cannot be mapped', () => {
  const { syscalls, vm, gmem } = boot();
  const map = (fd: number, offset: bigint) => syscalls.mmapSync(PAGE, PROT_READ, MAP_SHARED, fd, offset);
  const last = (1n << 63n) - BigInt(PAGE);
  expect(map(gmem, last)).toBe(BigInt(-errno.EOVERFLOW));
  expect(map(vm, last)).toBe(BigInt(-errno.ENODEV));
  expect(map(vm, BigInt(-PAGE))).toBe(BigInt(-errno.EOVERFLOW));
});
