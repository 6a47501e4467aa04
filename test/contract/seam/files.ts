/** Files and fds: what succeeds. */

import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { EFD_NONBLOCK, S_IFMT, S_IFREG } from '../../../lib/abi/linux.ts';
import type { Stat } from '../../../lib/syscalls/seam.ts';
import { bytesOf, createKit, type Form, type MakeSyscalls, PAGE } from './kit.ts';

export function files(make: MakeSyscalls, form: Form): void {
  test('what pwrite writes, pread reads, and no further than the end of the file', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(PAGE);
    expect(await calls.pwrite(fd, bytesOf(100), 10n)).toBe(100);
    const back = new Uint8Array(100);
    expect(await calls.pread(fd, back, 10n)).toBe(100);
    expect(back).toEqual(bytesOf(100));
    expect(await calls.pread(fd, new Uint8Array(100), BigInt(PAGE - 30))).toBe(30);
    expect(await calls.pread(fd, back, BigInt(PAGE))).toBe(0);
  });

  test('a view into the middle of a buffer is all that is read and written', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(PAGE);
    const whole = bytesOf(64);
    expect(await calls.pwrite(fd, whole.subarray(16, 32), 0n)).toBe(16);
    const target = new Uint8Array(64);
    expect(await calls.pread(fd, target.subarray(40, 48), 0n)).toBe(8);
    expect(target).toEqual(Uint8Array.from({ length: 64 }, (_, i) => (i >= 40 && i < 48 ? whole[i - 24]! : 0)));
  });

  test('an exact number will do for an offset', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(PAGE);
    const offset = 10 as unknown as bigint;
    expect(await calls.pwrite(fd, bytesOf(4), offset)).toBe(4);
    const back = new Uint8Array(4);
    expect(await calls.pread(fd, back, offset)).toBe(4);
    expect(back).toEqual(bytesOf(4));
    expect(await calls.ftruncate(fd, offset)).toBe(0);
    expect(await calls.pread(fd, back, 0n)).toBe(4);
    await expect(calls.pread(fd, back, 0.5 as unknown as bigint)).rejects.toThrow(RangeError);
  });

  test('fstat tells size, type and link count as they change', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(3 * PAGE);
    const stat = (await calls.fstat(fd)) as Stat;
    expect(stat).toMatchObject({ size: BigInt(3 * PAGE), nlink: 0, blksize: PAGE });
    expect(stat.mode & S_IFMT).toBe(S_IFREG);
    await calls.pwrite(fd, bytesOf(1), BigInt(PAGE));
    expect(((await calls.fstat(fd)) as Stat).blocks).toBe(8n);
    expect(await calls.ftruncate(fd, 5n)).toBe(0);
    expect(await calls.fstat(fd)).toMatchObject({ ino: stat.ino, size: 5n, blocks: 0n });
  });

  test('a copy of an fd is the same file, and outlives the original', async () => {
    const { calls, own } = createKit(make, form);
    const fd = await calls.memfdCreate('contract', 0);
    const copy = own(await calls.dup(fd));
    expect(copy).not.toBe(fd);
    expect(((await calls.fstat(copy)) as Stat).ino).toBe(((await calls.fstat(fd)) as Stat).ino);
    expect(await calls.close(fd)).toBe(0);
    expect(await calls.close(fd)).toBe(-errno.EBADF);
    expect(await calls.pwrite(copy, bytesOf(4), 0n)).toBe(4);
  });

  test('an eventfd counts what is written to it', async () => {
    const { calls, own } = createKit(make, form);
    const fd = own(await calls.eventfd(3, EFD_NONBLOCK));
    const count = new BigUint64Array([4n]);
    const bytes = new Uint8Array(count.buffer);
    expect(await calls.write(fd, bytes)).toBe(8);
    expect(await calls.read(fd, bytes)).toBe(8);
    expect(count[0]).toBe(7n);
    expect(await calls.read(fd, bytes)).toBe(-errno.EAGAIN);
  });
}
