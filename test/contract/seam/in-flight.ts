/** A synchronous call cannot wait for asynchronous ones, and says so; what they use stays theirs. */

import { expect, test } from 'vitest';
import { KVM_CREATE_GUEST_MEMFD, KVM_GET_API_VERSION } from '../../../lib/abi/kvm.ts';
import { O_RDWR } from '../../../lib/abi/linux.ts';
import { bytesOf, createKit, type MakeSyscalls, PAGE } from './kit.ts';

const IN_FLIGHT = { code: 'ERR_CALLS_IN_FLIGHT' };

export function inFlight(make: MakeSyscalls): void {
  test('a synchronous call on an fd with calls in flight throws, and tells which and how many', async () => {
    const { syscalls, own } = createKit(make, 'asynchronous');
    const fd = own(await syscalls.open('/dev/kvm', O_RDWR));
    const other = own(await syscalls.open('/dev/kvm', O_RDWR));
    const now = (on: number) => syscalls.ioctlSync(on, KVM_GET_API_VERSION.request, 0);
    const away = [1, 2].map(() => syscalls.ioctl(fd, KVM_GET_API_VERSION.request, 0));
    expect(() => now(fd)).toThrow(
      `2 asynchronous calls on fd ${fd} are in flight; await them before calling ioctlSync`,
    );
    expect(() => syscalls.fstatSync(fd)).toThrow(expect.objectContaining(IN_FLIGHT));
    expect(() => syscalls.closeSync(fd)).toThrow(expect.objectContaining(IN_FLIGHT));
    expect(now(other)).toBe(12);
    await new Promise(setImmediate);
    await Promise.all(away);
    expect(now(fd)).toBe(12);
  });

  test('so does one on mapped memory, and the mapping stays', async () => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const address = await map(await memfd(PAGE), PAGE);
    const away = syscalls.copyIn(address, bytesOf(8));
    expect(() => syscalls.copyOutSync(address, new Uint8Array(8))).toThrow('1 asynchronous call on mapped memory is');
    expect(() => syscalls.munmapSync(address, PAGE)).toThrow(expect.objectContaining(IN_FLIGHT));
    await away;
    expect(syscalls.copyOutSync(address, new Uint8Array(8))).toBe(8);
    expect(syscalls.munmapSync(address, PAGE)).toBe(0);
  });

  test('memory is not unmapped while a call’s struct is in it', async () => {
    const { syscalls, memfd, map, vm: makeVm, own } = createKit(make, 'asynchronous');
    const vm = await makeVm();
    const address = await map(await memfd(2 * PAGE), 2 * PAGE);
    await syscalls.copyIn(address + 64n, KVM_CREATE_GUEST_MEMFD.struct.encode({ size: PAGE }));
    const away = syscalls.ioctlFd(vm, KVM_CREATE_GUEST_MEMFD.request, { address: address + 64n });
    await expect(syscalls.munmap(address, 2 * PAGE)).rejects.toMatchObject(IN_FLIGHT);
    expect(() => syscalls.munmapSync(address, 2 * PAGE)).toThrow('with a struct in this mapping');
    own(await away);
    expect(await syscalls.munmap(address, 2 * PAGE)).toBe(0);
  });

  test('a number that is open again has no calls in flight', async () => {
    const { syscalls, own } = createKit(make, 'asynchronous');
    const old = await syscalls.memfdCreate('contract', 0);
    const closing = syscalls.close(old);
    await Promise.resolve();
    // The pool has closed it when the same number comes back, but has not told so yet.
    let fd = -1;
    for (let attempt = 0; attempt < 10_000 && fd !== old; attempt++) {
      if (fd >= 0) syscalls.closeSync(fd);
      fd = syscalls.memfdCreateSync('contract', 0);
    }
    own(fd);
    expect(fd).toBe(old);
    expect(syscalls.ftruncateSync(fd, 1n)).toBe(0);
    expect(await closing).toBe(0);
    expect(syscalls.ftruncateSync(fd, 2n)).toBe(0);
  });

  test('a buffer that is gone before its call leaves fails that call only', async () => {
    const { syscalls, memfd } = createKit(make, 'asynchronous');
    const fd = await memfd(PAGE);
    const struct = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: PAGE });
    const answers = [syscalls.pwrite(fd, bytesOf(4), 0n), syscalls.ioctl(fd, 0xc040aed4, struct), syscalls.fstat(fd)];
    structuredClone(struct, { transfer: [struct.buffer as ArrayBuffer] });
    const [wrote, refused, stat] = await Promise.allSettled(answers);
    expect(wrote).toEqual({ status: 'fulfilled', value: 4 });
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'ERR_BUFFER_OUT_OF_BOUNDS' } });
    expect(stat).toMatchObject({ status: 'fulfilled', value: { size: BigInt(PAGE) } });
  });

  test('a struct may change size or go away while its call is in flight', async () => {
    const { syscalls, own, vm: makeVm } = createKit(make, 'asynchronous');
    const vm = await makeVm();
    const struct = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: PAGE });
    const away = syscalls.ioctlFd(vm, KVM_CREATE_GUEST_MEMFD.request, struct);
    // The batch leaves in a microtask that was queued before this one.
    await Promise.resolve();
    structuredClone(struct, { transfer: [struct.buffer as ArrayBuffer] });
    own(await away);
  });
}
