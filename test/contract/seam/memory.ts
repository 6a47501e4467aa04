/** Mapped memory: copies that stop where a touch would kill the process, and ranges that are the backend's own. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP } from '../../../lib/abi/guest-memfd.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_DONTNEED,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../lib/abi/linux.ts';
import { bytesOf, createKit, type Form, type MakeSyscalls, PAGE } from './kit.ts';

const SHARED = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
/** More than any backend copies at once, and no multiple of it. */
const LARGE = 1_300_000;

export function memory(make: MakeSyscalls, form: Form): void {
  test('what goes in comes out, also more than is copied at once', async () => {
    const { calls, memfd, map } = createKit(make, form);
    const address = await map(await memfd(LARGE), LARGE);
    const bytes = bytesOf(LARGE - 3);
    expect(await calls.copyIn(address + 3n, bytes)).toBe(bytes.length);
    const back = new Uint8Array(bytes.length);
    expect(await calls.copyOut(address + 3n, back)).toBe(bytes.length);
    expect(Buffer.compare(back, bytes)).toBe(0);
    expect(await calls.copyOut(address, new Uint8Array(0))).toBe(0);
  });

  describe('past the end of a file', () => {
    const SIZE = PAGE + 100;
    test.each([
      // The rest of the last page is there.
      ['from its last page on', 4090n, 5000, 2 * PAGE - 4090],
      ['from its last byte on', BigInt(2 * PAGE - 1), 2, 1],
      ['up to its last byte', BigInt(2 * PAGE - 16), 16, 16],
      ['from there on', BigInt(2 * PAGE), 1, -errno.EFAULT],
    ])('%s', async (_, offset, length, expected) => {
      const { calls, memfd, map } = createKit(make, form);
      const address = await map(await memfd(SIZE), 4 * PAGE);
      expect(await calls.copyIn(address + offset, bytesOf(length))).toBe(expected);
      expect(await calls.copyOut(address + offset, new Uint8Array(length))).toBe(expected);
    });

    test('the count is exact after many chunks, too', async () => {
      const { calls, memfd, map } = createKit(make, form);
      const pages = Math.ceil(LARGE / PAGE);
      const address = await map(await memfd(LARGE), 2 * pages * PAGE);
      expect(await calls.copyOut(address + 5n, new Uint8Array(2 * LARGE))).toBe(pages * PAGE - 5);
      expect(await calls.copyIn(address + 5n, new Uint8Array(2 * LARGE))).toBe(pages * PAGE - 5);
    });
  });

  test('private guest memory is EFAULT in both directions, shared guest memory is not', async () => {
    const { calls, vm: makeVm, guestMemfd, map } = createKit(make, form);
    const vm = await makeVm();
    const hidden = await map(await guestMemfd(vm, 2 * PAGE, GUEST_MEMFD_FLAG_MMAP), 2 * PAGE);
    expect(await calls.copyIn(hidden, bytesOf(16))).toBe(-errno.EFAULT);
    expect(await calls.copyOut(hidden + 100n, new Uint8Array(PAGE))).toBe(-errno.EFAULT);
    const open = await map(await guestMemfd(vm, 2 * PAGE, SHARED), 2 * PAGE);
    expect(await calls.copyIn(open + 1n, bytesOf(PAGE))).toBe(PAGE);
    expect(await calls.copyOut(open + 1n, new Uint8Array(PAGE))).toBe(PAGE);
  });

  test.each([
    ['PROT_READ', PROT_READ, -errno.EFAULT, 16],
    ['PROT_NONE', PROT_NONE, -errno.EFAULT, -errno.EFAULT],
    ['PROT_READ | PROT_WRITE', PROT_READ | PROT_WRITE, 16, 16],
  ])('%s decides what a copy may do', async (_, prot, into, out) => {
    const { calls, memfd, map } = createKit(make, form);
    const address = await map(await memfd(PAGE), PAGE, prot);
    expect(await calls.copyIn(address, bytesOf(16))).toBe(into);
    expect(await calls.copyOut(address, new Uint8Array(16))).toBe(out);
  });

  test('a private mapping keeps its own pages when a hole is punched, and loses them when the file is cut off', async () => {
    const { syscalls, calls, memfd } = createKit(make, form);
    const fd = await memfd(2 * PAGE);
    const address = await calls.mmap(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0n);
    onTestFinished(() => void syscalls.munmapSync(address, 2 * PAGE));
    const second = address + BigInt(PAGE);
    expect(await calls.copyIn(second, Uint8Array.of(7))).toBe(1);
    expect(await calls.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, BigInt(PAGE), BigInt(PAGE))).toBe(0);
    const byte = new Uint8Array(1);
    expect(await calls.copyOut(second, byte)).toBe(1);
    expect(byte).toEqual(Uint8Array.of(7));
    expect(await calls.ftruncate(fd, BigInt(PAGE))).toBe(0);
    expect(await calls.copyOut(second, byte)).toBe(-errno.EFAULT);
    expect(await calls.ftruncate(fd, BigInt(2 * PAGE))).toBe(0);
    expect(await calls.copyOut(second, byte)).toBe(1);
    expect(byte).toEqual(Uint8Array.of(0));
  });

  test('madvise works inside one mapping, and a private copy forgets what it held', async () => {
    const { calls, memfd } = createKit(make, form);
    const address = await calls.mmap(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, await memfd(2 * PAGE), 0n);
    await calls.copyIn(address + BigInt(PAGE), bytesOf(16));
    expect(await calls.madvise(address + BigInt(PAGE), PAGE, MADV_DONTNEED)).toBe(0);
    const back = bytesOf(16);
    await calls.copyOut(address + BigInt(PAGE), back);
    expect(back).toEqual(new Uint8Array(16));
    expect(await calls.madvise(address + 1n, 1, MADV_DONTNEED)).toBe(-errno.EINVAL);
    expect(await calls.munmap(address, 2 * PAGE)).toBe(0);
  });

  test('an odd length is mapped to the end of its last page, and unmapped as it was mapped', async () => {
    const { calls, memfd } = createKit(make, form);
    const address = await calls.mmap(100, PROT_READ | PROT_WRITE, MAP_SHARED, await memfd(PAGE), 0n);
    expect(await calls.copyIn(address + 4000n, bytesOf(96))).toBe(96);
    await expect(calls.copyIn(address + 4000n, bytesOf(97))).rejects.toThrow(RangeError);
    await expect(calls.munmap(address, PAGE)).rejects.toThrow(RangeError);
    expect(await calls.munmap(address, 100)).toBe(0);
  });

  test('what is not mapped here, or not any more, is a RangeError', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(2 * PAGE);
    const address = await calls.mmap(2 * PAGE, PROT_READ, MAP_SHARED, fd, 0n);
    await expect(calls.munmap(address, PAGE)).rejects.toThrow(RangeError);
    await expect(calls.munmap(address + BigInt(PAGE), PAGE)).rejects.toThrow(RangeError);
    await expect(calls.copyOut(address - 1n, new Uint8Array(2))).rejects.toThrow(RangeError);
    await expect(calls.copyOut(address, new Uint8Array(2 * PAGE + 1))).rejects.toThrow(RangeError);
    await expect(calls.madvise(address, 3 * PAGE, MADV_DONTNEED)).rejects.toThrow(RangeError);
    expect(await calls.munmap(address, 2 * PAGE)).toBe(0);
    await expect(calls.copyOut(address, new Uint8Array(1))).rejects.toThrow(RangeError);
    await expect(calls.munmap(address, 2 * PAGE)).rejects.toThrow(RangeError);
    await expect(calls.mmap(PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0n)).rejects.toThrow(RangeError);
  });
}
