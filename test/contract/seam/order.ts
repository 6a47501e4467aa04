/** What is issued together keeps its order. */

import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { bytesOf, createKit, type MakeSyscalls, PAGE } from './kit.ts';

export function order(make: MakeSyscalls): void {
  test('calls on one fd, issued in one tick or while others are away, run in order', async () => {
    const { syscalls, memfd } = createKit(make, 'asynchronous');
    const fd = await memfd(PAGE);
    // Each write covers the tails of all before it, so the bytes count up only if none overtakes another.
    const write = (i: number) => syscalls.pwrite(fd, new Uint8Array(100 - i).fill(i), BigInt(i));
    const writes = Array.from({ length: 50 }, (_, i) => write(i));
    await new Promise(setImmediate);
    writes.push(...Array.from({ length: 50 }, (_, i) => write(50 + i)));
    const back = new Uint8Array(100);
    const read = syscalls.pread(fd, back, 0n);
    expect(await Promise.all(writes)).toEqual(writes.map((_, i) => 100 - i));
    expect(await read).toBe(100);
    expect(back).toEqual(Uint8Array.from({ length: 100 }, (_, i) => i));
  });

  test('an fd is closed after the calls that were issued before', async () => {
    const { syscalls } = createKit(make, 'asynchronous');
    const fd = await syscalls.memfdCreate('contract', 0);
    const answers = [syscalls.pwrite(fd, bytesOf(10), 0n), syscalls.close(fd), syscalls.pwrite(fd, bytesOf(10), 0n)];
    expect(await Promise.all(answers)).toEqual([10, 0, -errno.EBADF]);
  });

  test('calls on mapped memory run in order, and after munmap was issued no more are taken', async () => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const address = await map(await memfd(PAGE), PAGE);
    const back = new Uint8Array(4);
    const answers = [
      syscalls.copyIn(address, bytesOf(4)),
      syscalls.copyIn(address + 2n, Uint8Array.of(99)),
      syscalls.copyOut(address, back),
      syscalls.munmap(address, PAGE),
    ];
    await expect(syscalls.copyOut(address, new Uint8Array(4))).rejects.toThrow(RangeError);
    expect(await Promise.all(answers)).toEqual([4, 1, 4, 0]);
    expect(back).toEqual(Uint8Array.of(1, 8, 99, 22));
  });
}
