/** ioctl in its four shapes: plain arguments, structs, structs in mapped memory, many at once. */

import { describe, expect, test } from 'vitest';
import { errno } from '../../../lib/abi/errno.ts';
import { GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP } from '../../../lib/abi/guest-memfd.ts';
import {
  KVM_API_VERSION,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_GET_API_VERSION,
  KVM_MEM_GUEST_MEMFD,
  KVM_SET_USER_MEMORY_REGION2,
} from '../../../lib/abi/kvm.ts';
import { O_RDWR, PROT_NONE, PROT_READ } from '../../../lib/abi/linux.ts';
import { bytesOf, createKit, type Form, type MakeSyscalls, PAGE } from './kit.ts';

const REGION2 = KVM_SET_USER_MEMORY_REGION2;
const CREATE = KVM_CREATE_GUEST_MEMFD;
const SHARED = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
const KVM_CAP_GUEST_MEMFD = 234;
/** iommufd's IOMMU_DESTROY: a request that tells no size, with a struct that does. */
const SIZE_PREFIXED = 0x3b80;

export function ioctls(make: MakeSyscalls, form: Form): void {
  test('plain arguments go in and numbers come out', async () => {
    const { calls, own } = createKit(make, form);
    const kvm = own(await calls.open('/dev/kvm', O_RDWR));
    expect(await calls.ioctl(kvm, KVM_GET_API_VERSION.request, 0)).toBe(KVM_API_VERSION);
    expect(await calls.ioctl(kvm, KVM_CHECK_EXTENSION.request, KVM_CAP_GUEST_MEMFD)).toBe(1);
  });

  test('a guest_memfd is made, mapped into a slot, punched, and taken out again', async () => {
    const { calls, vm: makeVm, guestMemfd, map } = createKit(make, form);
    const vm = await makeVm();
    const gmem = await guestMemfd(vm, 4 * PAGE, SHARED);
    const address = await map(gmem, 4 * PAGE);
    const region = {
      slot: 0,
      flags: KVM_MEM_GUEST_MEMFD,
      guest_phys_addr: 0x1_0000_0000n,
      memory_size: 4 * PAGE,
      userspace_addr: address,
      guest_memfd: gmem,
    };
    expect(await calls.ioctl(vm, REGION2.request, REGION2.struct.encode(region))).toBe(0);
    expect(await calls.copyIn(address, bytesOf(PAGE))).toBe(PAGE);
    expect(await calls.fallocate(gmem, 3, 0n, BigInt(PAGE))).toBe(0);
    const back = bytesOf(PAGE);
    expect(await calls.copyOut(address, back)).toBe(PAGE);
    expect(back).toEqual(new Uint8Array(PAGE));
    expect(await calls.ioctl(vm, REGION2.request, REGION2.struct.encode({ ...region, memory_size: 0 }))).toBe(0);
  });

  test('ioctlMany stops at the first struct that is refused, and tells which', async () => {
    const { calls, vm } = createKit(make, form);
    const fd = await vm();
    const one = REGION2.struct.encode({});
    const bad = REGION2.struct.encode({ slot: 0, memory_size: PAGE + 1 });
    const structs = (list: Uint8Array[]) => Uint8Array.from(list.flatMap((bytes) => [...bytes]));
    const none = await calls.ioctlMany(fd, REGION2.request, structs([]));
    expect(none).toEqual({ completed: 0, result: 0 });
    const stopped = await calls.ioctlMany(fd, REGION2.request, structs([bad, one, one]));
    expect(stopped).toEqual({ completed: 0, result: -errno.EINVAL });
  });

  test('ioctlMany hands over plain values in order, and answers what the last one answered', async () => {
    const { calls, own } = createKit(make, form);
    const kvm = own(await calls.open('/dev/kvm', O_RDWR));
    const values = new BigUint64Array([KVM_CAP_GUEST_MEMFD, 9999].map(BigInt));
    expect(await calls.ioctlMany(kvm, KVM_CHECK_EXTENSION.request, values)).toEqual({ completed: 2, result: 0 });
    const one = values.subarray(0, 1);
    expect(await calls.ioctlMany(kvm, KVM_CHECK_EXTENSION.request, one)).toEqual({ completed: 1, result: 1 });
  });

  describe('a struct in mapped memory', () => {
    test.each([
      ['that is read-only', PROT_READ, 0],
      ['that cannot be touched', PROT_NONE, -errno.EFAULT],
    ])('%s', async (_, prot, expected) => {
      const { calls, vm: makeVm, memfd, map, own } = createKit(make, form);
      const vm = await makeVm();
      const file = await memfd(PAGE);
      await calls.pwrite(file, CREATE.struct.encode({ size: PAGE }), 0n);
      const address = await map(file, PAGE, prot);
      const answer = await calls.ioctlFd(vm, CREATE.request, { address });
      if (expected === 0) own(answer);
      else expect(answer).toBe(expected);
    });

    test('that is private guest memory gives EFAULT, and no signal', async () => {
      const { calls, vm: makeVm, guestMemfd, map } = createKit(make, form);
      const vm = await makeVm();
      const address = await map(await guestMemfd(vm, PAGE, GUEST_MEMFD_FLAG_MMAP), PAGE);
      expect(await calls.ioctl(vm, CREATE.request, { address })).toBe(-errno.EFAULT);
    });

    test('must lie in it with all its bytes', async () => {
      const { calls, vm: makeVm, memfd, map } = createKit(make, form);
      const vm = await makeVm();
      const address = (await map(await memfd(PAGE), PAGE)) + BigInt(PAGE - CREATE.struct.size + 8);
      await expect(calls.ioctl(vm, CREATE.request, { address })).rejects.toThrow(RangeError);
    });
  });

  describe('a pointer in a struct', () => {
    test('is gone when the call is done, and the field is as it was', async () => {
      const { calls, vm } = createKit(make, form);
      const struct = REGION2.struct.encode({ slot: 1, memory_size: PAGE + 1, userspace_addr: 0x1122_3344_5566_7788n });
      const before = struct.slice();
      const answer = await calls.ioctl(await vm(), REGION2.request, struct, [{ at: 24, to: new Uint8Array(PAGE) }]);
      expect(answer).toBe(-errno.EINVAL);
      expect(struct).toEqual(before);
    });

    test.each([-1, 1.5, REGION2.struct.size - 7])('cannot be at %s', async (at) => {
      const { calls, vm } = createKit(make, form);
      const call = calls.ioctl(await vm(), REGION2.request, REGION2.struct.encode({}), [{ at, to: new Uint8Array(8) }]);
      await expect(call).rejects.toThrow(RangeError);
    });
  });

  describe('what would let the kernel write outside a buffer is refused', () => {
    test.each([
      ['a buffer that is too small', CREATE.request, new Uint8Array(63)],
      ['a plain number where a struct belongs', CREATE.request, 0x1000],
      ['a struct that tells more bytes than it has', SIZE_PREFIXED, Uint8Array.of(9, 0, 0, 0, 1, 0, 0, 0)],
      ['a struct without room to tell its size', SIZE_PREFIXED, new Uint8Array(3)],
      ['a number that could be a pointer', SIZE_PREFIXED, 0x7000_0000_0000],
    ])('%s', async (_, request, arg) => {
      const { calls, vm } = createKit(make, form);
      await expect(calls.ioctl(await vm(), request, arg)).rejects.toThrow(RangeError);
    });
  });
}
