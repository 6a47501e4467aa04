/** What a kernel refuses comes back as -errno, from every call and in both forms. */

import { expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { KVM_CHECK_EXTENSION, KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM, KVMIO } from '../../../lib/abi/kvm.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MAP_SHARED, O_RDWR, PROT_READ } from '../../../lib/abi/linux.ts';
import { createKit, type Form, type Kit, type MakeSyscalls, NO_SUCH_FD, PAGE } from './kit.ts';

const UNKNOWN_REQUEST = (KVMIO << 8) | 0xfe;
const struct = () => KVM_CREATE_GUEST_MEMFD.struct.encode({ size: PAGE });
const bytes = () => new Uint8Array(8);
const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

type Refusal = readonly [name: string, expected: number | bigint | object, call: (kit: Kit) => Promise<unknown>];

const { EBADF, EFAULT, EINVAL, ENOENT, ENOTTY } = errno;

const ON_NO_FILE: readonly Refusal[] = [
  ['ioctl', -EBADF, ({ calls }) => calls.ioctl(NO_SUCH_FD, KVM_CHECK_EXTENSION.request, 0)],
  ['ioctl with a struct', -EBADF, ({ calls }) => calls.ioctl(NO_SUCH_FD, KVM_CREATE_GUEST_MEMFD.request, struct())],
  ['ioctlFd', -EBADF, ({ calls }) => calls.ioctlFd(NO_SUCH_FD, KVM_CREATE_VM.request, 0)],
  [
    'ioctlMany',
    { completed: 0, result: -EBADF },
    ({ calls }) => calls.ioctlMany(NO_SUCH_FD, KVM_CHECK_EXTENSION.request, new BigUint64Array(3)),
  ],
  ['close', -EBADF, ({ calls }) => calls.close(NO_SUCH_FD)],
  ['dup', -EBADF, ({ calls }) => calls.dup(NO_SUCH_FD)],
  ['fstat', -EBADF, ({ calls }) => calls.fstat(NO_SUCH_FD)],
  ['ftruncate', -EBADF, ({ calls }) => calls.ftruncate(NO_SUCH_FD, 0n)],
  ['fallocate', -EBADF, ({ calls }) => calls.fallocate(NO_SUCH_FD, 0, 0n, 1n)],
  ['read', -EBADF, ({ calls }) => calls.read(NO_SUCH_FD, bytes())],
  ['write', -EBADF, ({ calls }) => calls.write(NO_SUCH_FD, bytes())],
  ['pread', -EBADF, ({ calls }) => calls.pread(NO_SUCH_FD, bytes(), 0n)],
  ['pwrite', -EBADF, ({ calls }) => calls.pwrite(NO_SUCH_FD, bytes(), 0n)],
  ['mmap', BigInt(-EBADF), ({ calls }) => calls.mmap(PAGE, PROT_READ, MAP_SHARED, NO_SUCH_FD, 0n)],
];

const ON_A_MEMFD: readonly Refusal[] = [
  ['an unknown ioctl', -ENOTTY, async ({ calls, memfd }) => calls.ioctl(await memfd(PAGE), UNKNOWN_REQUEST, 0)],
  ['a negative length', -EINVAL, async ({ calls, memfd }) => calls.ftruncate(await memfd(PAGE), -1n)],
  ['an empty range', -EINVAL, async ({ calls, memfd }) => calls.fallocate(await memfd(PAGE), PUNCH, 0n, 0n)],
  ['a negative start', -EINVAL, async ({ calls, memfd }) => calls.fallocate(await memfd(PAGE), PUNCH, -1n, 1n)],
  [
    'the lowest start',
    -EINVAL,
    async ({ calls, memfd }) => calls.fallocate(await memfd(PAGE), PUNCH, -(2n ** 63n), 1n),
  ],
  ['a negative offset to read from', -EINVAL, async ({ calls, memfd }) => calls.pread(await memfd(PAGE), bytes(), -1n)],
  ['a negative offset to write to', -EINVAL, async ({ calls, memfd }) => calls.pwrite(await memfd(PAGE), bytes(), -1n)],
  [
    'an empty mapping',
    BigInt(-EINVAL),
    async ({ calls, memfd }) => calls.mmap(0, PROT_READ, MAP_SHARED, await memfd(PAGE), 0n),
  ],
  [
    'an odd offset to map from',
    BigInt(-EINVAL),
    async ({ calls, memfd }) => calls.mmap(PAGE, PROT_READ, MAP_SHARED, await memfd(PAGE), 5n),
  ],
];

const ELSEWHERE: readonly Refusal[] = [
  ['open of a path that is not there', -ENOENT, ({ calls }) => calls.open('/dev/no-such-device', O_RDWR)],
  ['a machine type that is not there', -EINVAL, async (kit) => kit.calls.ioctlFd(await kvm(kit), 0xae01, 99)],
  ['a VM request on /dev/kvm', -EINVAL, async (kit) => kit.calls.ioctl(await kvm(kit), 0xc040aed4, struct())],
  ['an unknown request on a VM', -ENOTTY, async ({ calls, vm }) => calls.ioctl(await vm(), UNKNOWN_REQUEST, 0)],
  ['a null pointer for a struct', -EFAULT, async ({ calls, vm }) => calls.ioctl(await vm(), 0xc040aed4, 0)],
  [
    'unknown creation flags',
    -EINVAL,
    async ({ calls, vm }) => {
      const flags = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: PAGE, flags: 1n << 40n });
      return calls.ioctlFd(await vm(), KVM_CREATE_GUEST_MEMFD.request, flags);
    },
  ],
];

const kvm = async ({ calls, own }: Kit): Promise<number> => own(await calls.open('/dev/kvm', O_RDWR));

export function refusals(make: MakeSyscalls, form: Form): void {
  for (const [group, list] of Object.entries({ 'no file': ON_NO_FILE, 'a memfd': ON_A_MEMFD, KVM: ELSEWHERE })) {
    test.each(list)(`${group}: %s`, async (_, expected, call) => {
      expect(await call(createKit(make, form))).toEqual(expected);
    });
  }
}
