/** ioctls that may block: what both backends that call a kernel do with them. */

import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { KVM_CREATE_GUEST_MEMFD } from '../../../lib/abi/kvm.ts';
import { KVM_RUN } from '../../../lib/abi/vcpu.ts';
import { createKit, type MakeSyscalls, NO_SUCH_FD, PAGE } from './kit.ts';
import { blockedVcpu } from './vcpus.ts';

export function blocking(make: MakeSyscalls): void {
  test('a flag that is set brings it back at once, and stays set', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd, flag } = await blockedVcpu(kit);
    syscalls.copyInSync(flag.address, Uint8Array.of(1));
    expect(await syscalls.ioctlBlocking(fd, KVM_RUN.request, flag)).toBe(-errno.EINTR);
    expect(await syscalls.ioctlBlocking(fd, KVM_RUN.request, flag)).toBe(-errno.EINTR);
    const byte = new Uint8Array(1);
    syscalls.copyOutSync(flag.address, byte);
    expect(byte).toEqual(Uint8Array.of(1));
  });

  test('a kernel’s refusal is an answer', async () => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const file = await memfd(PAGE);
    const flag = { address: await map(file, PAGE) };
    expect(await syscalls.ioctlBlocking(file, KVM_RUN.request, flag)).toBe(-errno.ENOTTY);
    expect(await syscalls.ioctlBlocking(NO_SUCH_FD, KVM_RUN.request, flag)).toBe(-errno.EBADF);
    expect(await syscalls.close(NO_SUCH_FD)).toBe(-errno.EBADF);
  });

  test('interrupting what is not there does nothing', async () => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const file = await memfd(PAGE);
    const flag = { address: await map(file, PAGE) };
    syscalls.interrupt(NO_SUCH_FD);
    syscalls.interrupt(file);
    await syscalls.ioctlBlocking(file, KVM_RUN.request, flag);
    syscalls.interrupt(file);
    const byte = new Uint8Array(1);
    syscalls.copyOutSync(flag.address, byte);
    expect(byte).toEqual(Uint8Array.of(0));
  });

  test('interrupting what nobody has seen the answer of sets the flag', async () => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const file = await memfd(PAGE);
    const flag = { address: (await map(file, PAGE)) + 7n };
    const answer = syscalls.ioctlBlocking(file, KVM_RUN.request, flag);
    syscalls.interrupt(file);
    const byte = new Uint8Array(1);
    syscalls.copyOutSync(flag.address, byte);
    expect(byte).toEqual(Uint8Array.of(1));
    expect(await answer).toBe(-errno.ENOTTY);
  });

  test.each<readonly [string, ErrorConstructor, (address: bigint) => unknown[]]>([
    ['an fd that is none', TypeError, (address) => ['3', KVM_RUN.request, { address }]],
    ['a negative fd', RangeError, (address) => [-1, KVM_RUN.request, { address }]],
    ['a request that is none', TypeError, (address) => [NO_SUCH_FD, KVM_RUN, { address }]],
    ['a request with a struct', RangeError, (address) => [NO_SUCH_FD, KVM_CREATE_GUEST_MEMFD.request, { address }]],
    ['no flag', TypeError, () => [NO_SUCH_FD, KVM_RUN.request]],
    ['a flag that is a number', TypeError, () => [NO_SUCH_FD, KVM_RUN.request, { address: 4096 }]],
    ['a flag outside all mappings', RangeError, () => [NO_SUCH_FD, KVM_RUN.request, { address: 4096n }]],
    ['a flag past its mapping', RangeError, (at) => [NO_SUCH_FD, KVM_RUN.request, { address: at + BigInt(PAGE) }]],
    ['a flag below zero', RangeError, () => [NO_SUCH_FD, KVM_RUN.request, { address: -1n }]],
  ])('refuses %s', async (_, type, args) => {
    const { syscalls, memfd, map } = createKit(make, 'asynchronous');
    const given = args(await map(await memfd(PAGE), PAGE)) as Parameters<typeof syscalls.ioctlBlocking>;
    await expect(syscalls.ioctlBlocking(...given)).rejects.toThrow(type);
  });

  test('interrupt takes an fd', () => {
    const { syscalls } = createKit(make, 'asynchronous');
    expect(() => syscalls.interrupt('3' as never)).toThrow(TypeError);
    expect(() => syscalls.interrupt(-1)).toThrow(RangeError);
  });
}
