/** ioctls that do block, on threads of their own, and come back when somebody interrupts them. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { GUEST_MEMFD_FLAG_MMAP } from '../../../lib/abi/guest-memfd.ts';
import { KVM_GET_API_VERSION } from '../../../lib/abi/kvm.ts';
import { O_RDWR, PROT_NONE, PROT_READ } from '../../../lib/abi/linux.ts';
import { KVM_GET_MP_STATE, KVM_MP_STATE_UNINITIALIZED, KVM_RUN } from '../../../lib/abi/vcpu.ts';
import type { Address, Syscalls } from '../../../lib/syscalls/seam.ts';
import { createKit, type Kit, type MakeSyscalls, PAGE } from './kit.ts';
import { blockedVcpu, blockedVcpus } from './vcpus.ts';

const IN_FLIGHT = { code: 'ERR_CALLS_IN_FLIGHT' };
/** Neither the number of the pool's threads nor that of most machines' CPUs is as high. */
const MANY = 6;

const run = (syscalls: Syscalls, fd: number, flag: Address) => syscalls.ioctlBlocking(fd, KVM_RUN.request, flag);

export function interrupt(make: MakeSyscalls): void {
  test('one that blocks comes back with EINTR, and its flag is set', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd, flag } = await blockedVcpu(kit);
    const answer = run(syscalls, fd, flag);
    await inKernel(fd);
    syscalls.interrupt(fd);
    expect(flagAt(kit, flag)).toBe(1);
    expect(await answer).toBe(-errno.EINTR);
    syscalls.copyInSync(flag.address, Uint8Array.of(0));
    const again = run(syscalls, fd, flag);
    await inKernel(fd);
    syscalls.interrupt(fd);
    syscalls.interrupt(fd);
    expect(await again).toBe(-errno.EINTR);
  });

  test('none of a hundred is missed, however close the two calls are', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd, flag } = await blockedVcpu(kit);
    const pauses = [() => undefined, () => Promise.resolve(), () => new Promise(setImmediate), () => inKernel(fd)];
    for (let round = 0; round < 100; round++) {
      syscalls.copyInSync(flag.address, Uint8Array.of(0));
      const answer = run(syscalls, fd, flag);
      await pauses[round % pauses.length]?.();
      syscalls.interrupt(fd);
      expect(await answer, `round ${round}`).toBe(-errno.EINTR);
    }
  });

  test('the calls behind it wait, in order, and the flag is set while it waits itself', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd, flag } = await blockedVcpu(kit);
    const order: string[] = [];
    const note = (name: string) => (answer: number) => order.push(`${name} ${answer}`);
    const state = KVM_GET_MP_STATE.struct.encode({});
    const issued = [
      syscalls.ioctl(fd, KVM_GET_MP_STATE.request, state).then(note('state')),
      run(syscalls, fd, flag).then(note('run')),
      syscalls.ioctl(fd, KVM_GET_MP_STATE.request, state).then(note('state')),
      run(syscalls, fd, flag).then(note('run')),
      syscalls.dup(fd).then((copy) => kit.own(copy)),
    ];
    syscalls.interrupt(fd);
    expect(flagAt(kit, flag)).toBe(1);
    await Promise.all(issued);
    expect(order).toEqual(['state 0', `run ${-errno.EINTR}`, 'state 0', `run ${-errno.EINTR}`]);
    expect(KVM_GET_MP_STATE.struct.decode(state)).toEqual({ mp_state: KVM_MP_STATE_UNINITIALIZED });
  });

  test('a synchronous call on the fd throws meanwhile, and the flag stays mapped', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd, flag, address, length } = await blockedVcpu(kit);
    const answer = run(syscalls, fd, flag);
    await inKernel(fd);
    expect(() => syscalls.ioctlSync(fd, KVM_RUN.request, 0)).toThrow(`1 asynchronous call on fd ${fd} is in flight`);
    expect(() => syscalls.closeSync(fd)).toThrow(expect.objectContaining(IN_FLIGHT));
    expect(() => syscalls.munmapSync(address, length)).toThrow(expect.objectContaining(IN_FLIGHT));
    await expect(syscalls.munmap(address, length)).rejects.toMatchObject(IN_FLIGHT);
    syscalls.interrupt(fd);
    expect(await answer).toBe(-errno.EINTR);
    expect(syscalls.munmapSync(address, length)).toBe(0);
  });

  test('many block at once, keep no other call waiting, and come back one by one', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const vcpus = await blockedVcpus(kit, MANY);
    const back: number[] = [];
    const answers = vcpus.map(({ fd, flag }) => run(syscalls, fd, flag).then((answer) => back.push(fd) && answer));
    await Promise.all(vcpus.map(({ fd }) => inKernel(fd)));
    const other = kit.own(await syscalls.open('/dev/kvm', O_RDWR));
    expect(await syscalls.ioctl(other, KVM_GET_API_VERSION.request, 0)).toBe(12);
    expect(back).toEqual([]);
    const backwards = vcpus.map((_, i) => vcpus.length - 1 - i);
    for (const i of backwards) {
      syscalls.interrupt(vcpus[i]!.fd);
      expect(await answers[i]).toBe(-errno.EINTR);
    }
    expect(back).toEqual(backwards.map((i) => vcpus[i]!.fd));
  });

  test('an fd keeps its thread until it is closed, after the call in flight', async () => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const [one, other] = await blockedVcpus(kit, 2);
    for (const { fd } of [one!, other!]) expect(threadsOf(fd)).toEqual([]);
    const seen = new Set<string>();
    for (let i = 0; i < 5; i++) {
      syscalls.copyInSync(one!.flag.address, Uint8Array.of(0));
      const answer = run(syscalls, one!.fd, one!.flag);
      await inKernel(one!.fd);
      for (const thread of threadsOf(one!.fd)) seen.add(thread);
      syscalls.interrupt(one!.fd);
      await answer;
    }
    expect(seen.size).toBe(1);
    const last = [run(syscalls, one!.fd, one!.flag), syscalls.close(one!.fd), run(syscalls, other!.fd, other!.flag)];
    syscalls.interrupt(other!.fd);
    expect(await Promise.all(last)).toEqual([-errno.EINTR, 0, -errno.EINTR]);
    await gone(one!.fd);
    expect(threadsOf(other!.fd)).toHaveLength(1);
    expect(syscalls.closeSync(other!.fd)).toBe(0);
    await gone(other!.fd);
  });

  test.each<readonly [string, (kit: Kit) => Promise<bigint>]>([
    ['that the kernel does not look at', async ({ memfd, map }) => map(await memfd(PAGE), PAGE)],
    ['that cannot be written', async ({ memfd, map }) => map(await memfd(PAGE), PAGE, PROT_READ)],
    ['that cannot be touched', async ({ memfd, map }) => map(await memfd(PAGE), PAGE, PROT_NONE)],
    ['past the end of its file', async ({ memfd, map }) => map(await memfd(0), PAGE)],
    [
      'in private guest memory',
      async ({ vm, guestMemfd, map }) => map(await guestMemfd(await vm(), PAGE, GUEST_MEMFD_FLAG_MMAP), PAGE),
    ],
  ])('a flag %s loses no interrupt', async (_, place) => {
    const kit = createKit(make, 'asynchronous');
    const { syscalls } = kit;
    const { fd } = await blockedVcpu(kit);
    const flag = { address: await place(kit) };
    for (let round = 0; round < 20; round++) {
      const answer = run(syscalls, fd, flag);
      // One tick later the thread has its order, and most often is on its way into the kernel.
      if (round % 2 === 0) await Promise.resolve();
      syscalls.interrupt(fd);
      expect(await answer, `round ${round}`).toBe(-errno.EINTR);
    }
  });
}

function flagAt({ syscalls }: Kit, flag: Address): number | undefined {
  const byte = new Uint8Array(1);
  syscalls.copyOutSync(flag.address, byte);
  return byte[0];
}

/** The fd's threads, by id. */
function threadsOf(fd: number): string[] {
  return readdirSync('/proc/self/task').filter((id) => ofThread(id, 'comm') === `gmem-fd-${fd}\n`);
}

/** Until the fd's thread sleeps in KVM_RUN. */
async function inKernel(fd: number): Promise<void> {
  const inIoctl = (id: string) => ofThread(id, 'syscall').startsWith(`16 0x${fd.toString(16)} 0xae80 `);
  while (!threadsOf(fd).some(inIoctl)) await new Promise(setImmediate);
}

/** Until the fd's thread is no longer listed: the kernel lets others join a thread a little before it takes it out. */
async function gone(fd: number): Promise<void> {
  while (threadsOf(fd).length > 0) await new Promise(setImmediate);
}

/** Empty for a thread that is gone. */
function ofThread(id: string, file: string): string {
  try {
    return readFileSync(`/proc/self/task/${id}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
