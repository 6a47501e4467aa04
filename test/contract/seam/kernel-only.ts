/** Checks that need more than a mock of KVM: requests that write, pointers that are followed, files of other kinds. */

import { readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { ior, iow } from '../../../lib/abi/ioctl.ts';
import { KVM_CREATE_VM, KVM_MEM_LOG_DIRTY_PAGES, KVM_SET_USER_MEMORY_REGION, KVMIO } from '../../../lib/abi/kvm.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_RDWR, PROT_READ } from '../../../lib/abi/linux.ts';
import { array, struct, u32, u64 } from '../../../lib/abi/struct.ts';
import type { Stat } from '../../../lib/syscalls/seam.ts';
import { bytesOf, createKit, type Form, type MakeSyscalls, PAGE } from './kit.ts';

/** Requests that the package itself does not use. */
const KVM_GET_CLOCK = ior('vm', KVMIO, 0x7c, struct('kvm_clock_data', { clock: u64, flags: u32, pad: array(u32, 9) }));
const dirtyLog = struct('kvm_dirty_log', { slot: u32, padding: u32, dirty_bitmap: u64 });
const KVM_GET_DIRTY_LOG = iow('vm', KVMIO, 0x42, dirtyLog);
const SIZE_PREFIXED = 0x3b80;
const O_CLOEXEC = 0o2000000;

export function kernelOnly(make: MakeSyscalls, form: Form): void {
  test('a struct in read-only memory can be read by the kernel, and not written', async () => {
    const { calls, vm: makeVm, memfd, map } = createKit(make, form);
    const vm = await makeVm();
    const file = await memfd(PAGE);
    const writable = await map(file, PAGE);
    const readOnly = await map(file, PAGE, PROT_READ);
    expect(await calls.ioctl(vm, KVM_GET_CLOCK.request, { address: readOnly })).toBe(-errno.EFAULT);
    expect(await calls.ioctl(vm, KVM_GET_CLOCK.request, { address: writable })).toBe(0);
    const bytes = new Uint8Array(KVM_GET_CLOCK.struct.size);
    expect(await calls.copyOut(readOnly, bytes)).toBe(bytes.length);
    expect(KVM_GET_CLOCK.struct.decode(bytes).clock).toBeGreaterThan(0n);
  });

  test('the kernel writes where a pointer in a struct points to, and the struct shows no address', async () => {
    const { calls, vm: makeVm, memfd, map } = createKit(make, form);
    const vm = await makeVm();
    const slot = KVM_SET_USER_MEMORY_REGION.struct.encode({
      slot: 0,
      flags: KVM_MEM_LOG_DIRTY_PAGES,
      memory_size: 64 * PAGE,
      userspace_addr: await map(await memfd(64 * PAGE), 64 * PAGE),
    });
    expect(await calls.ioctl(vm, KVM_SET_USER_MEMORY_REGION.request, slot)).toBe(0);
    const bitmap = new Uint8Array(8).fill(0xff);
    const log = dirtyLog.encode({ slot: 0, dirty_bitmap: 5n });
    expect(await calls.ioctl(vm, KVM_GET_DIRTY_LOG.request, log, [{ at: 8, to: bitmap }])).toBe(0);
    expect(bitmap).toEqual(new Uint8Array(8));
    expect(dirtyLog.decode(log)).toEqual({ slot: 0, padding: 0, dirty_bitmap: 5n });
  });

  test('a struct in memory may tell no more bytes than the mapping has from there on', async () => {
    const { calls, memfd, map } = createKit(make, form);
    const file = await memfd(PAGE);
    const address = await map(file, PAGE);
    await calls.copyIn(address + 4088n, Uint8Array.of(8, 0, 0, 0, 9, 0, 0, 0));
    expect(await calls.ioctl(file, SIZE_PREFIXED, { address: address + 4088n })).toBe(-errno.ENOTTY);
    await expect(calls.ioctl(file, SIZE_PREFIXED, { address: address + 4092n })).rejects.toMatchObject({
      code: 'ERR_BUFFER_OUT_OF_BOUNDS',
    });
  });

  test('fallocate takes a memfd’s pages away and gives them back', async () => {
    const { calls, memfd } = createKit(make, form);
    const fd = await memfd(2 * PAGE);
    await calls.pwrite(fd, bytesOf(2 * PAGE), 0n);
    expect(await calls.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0n, BigInt(PAGE))).toBe(0);
    expect(((await calls.fstat(fd)) as Stat).blocks).toBe(8n);
    expect(await calls.fallocate(fd, 0, 0n, BigInt(3 * PAGE))).toBe(0);
    expect(await calls.fstat(fd)).toMatchObject({ blocks: 24n, size: BigInt(3 * PAGE) });
  });

  test('every new fd is close-on-exec', async () => {
    const { calls, own, vm } = createKit(make, form);
    const kvm = own(await calls.open('/dev/kvm', O_RDWR));
    const fds = [
      kvm,
      own(await calls.dup(kvm)),
      own(await calls.memfdCreate('contract', 0)),
      own(await calls.eventfd(0, 0)),
      own(await calls.ioctlFd(kvm, KVM_CREATE_VM.request, 0)),
      await vm(),
    ];
    for (const fd of fds) expect(await openFlags(make, fd), readlinkSync(`/proc/self/fd/${fd}`)).toBe(O_CLOEXEC);
  });

  test.each([
    ['eventfd', 0x40],
    ['memfdCreate', 0x8000],
  ] as const)('%s knows its flags', async (name, flags) => {
    const { calls } = createKit(make, form);
    const answer = name === 'eventfd' ? calls.eventfd(0, flags) : calls.memfdCreate('contract', flags);
    expect(await answer).toBe(-errno.EINVAL);
  });
}

async function openFlags(make: MakeSyscalls, fd: number): Promise<number> {
  const { calls, own } = createKit(make, 'synchronous');
  const info = own(await calls.open(`/proc/self/fdinfo/${fd}`, 0));
  const text = new Uint8Array(200);
  const length = await calls.read(info, text);
  const flags = /flags:\s+([0-7]+)/.exec(Buffer.from(text.subarray(0, length)).toString());
  return Number.parseInt(flags?.[1] ?? '0', 8) & O_CLOEXEC;
}
