import { describe, expect, test } from 'vitest';
import {
  iow,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_GUEST_MEMFD,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_GMEM_CONVERT_PRIVATE,
  KVM_SET_MEMORY_ATTRIBUTES,
  KVM_SET_USER_MEMORY_REGION2,
  KVMIO,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  struct,
  u64,
} from '../../lib/abi/index.ts';
import { isKernelError } from '../../lib/host/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { kernels, openWatched, titleOf } from './support/hosts.ts';

for (const kernel of kernels) {
  describe.skipIf(kernel.missing !== undefined)(`raw: ${titleOf(kernel)}`, () => {
    const open = async () => {
      const host = await openHost(kernel.options);
      const vm = await host.createVm();
      return { host, raw: host.raw, vm, [Symbol.asyncDispose]: () => host.close() };
    };

    test('lets invalid values reach the kernel', async () => {
      await using s = await open();
      const refused = await s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD, { size: 1n, reserved: [1n, 2n] });
      expect(refused).toMatchObject({ ok: false, code: 'EINVAL', errno: -22, ret: -22, out: { size: 1n } });
      await expect(s.raw.ioctl(s.vm, KVM_CREATE_GUEST_MEMFD, { size: 0n })).rejects.toMatchObject({
        code: 'EINVAL',
        request: 'KVM_CREATE_GUEST_MEMFD',
        fd: s.vm.fd,
        args: { size: 0n },
      });
    });

    test('answers a request that the file does not know with ENOTTY', async () => {
      await using s = await open();
      const result = await s.raw.tryIoctl(s.vm, KVM_GMEM_CONVERT_PRIVATE, { offset: 1n, error_offset: 7n });
      expect(result).toMatchObject({ ok: false, code: 'ENOTTY', out: { offset: 1n, error_offset: 7n } });
    });

    test('takes a plain argument, and an object with an fd or its number', async () => {
      await using s = await open();
      expect(await s.raw.ioctl(s.host, KVM_GET_API_VERSION)).toEqual({ ok: true, ret: 12, out: undefined });
      expect((await s.raw.ioctl(s.host.fd, KVM_CHECK_EXTENSION, 3)).ret).toBe(1);
      expect((await s.raw.ioctl({ fd: s.vm.fd }, KVM_CHECK_EXTENSION, 3n)).ret).toBe(1);
    });

    test('answers at once with the Sync forms', async () => {
      await using s = await open();
      expect(s.raw.ioctlSync(s.vm, KVM_CHECK_EXTENSION, 3).ret).toBe(1);
      expect(s.raw.tryIoctlSync(s.vm, KVM_CREATE_GUEST_MEMFD, { size: 5 })).toMatchObject({ code: 'EINVAL' });
      expect(() => s.raw.ioctlSync(s.vm, KVM_CREATE_GUEST_MEMFD, { size: 5 })).toThrow('EINVAL');
    });

    test('takes a request by number: bytes changed in place, or a value', async () => {
      await using s = await open();
      expect((await s.raw.ioctl(s.host, KVM_CHECK_EXTENSION.request, 3)).ret).toBe(1);
      expect((await s.raw.ioctl(s.host, KVM_GET_API_VERSION.request)).ret).toBe(12);
      const bytes = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: 0x1000n });
      const { ret, out } = await s.raw.ioctl(s.vm, KVM_CREATE_GUEST_MEMFD.request, bytes);
      expect(out).toBe(bytes);
      expect(await s.raw.syscalls.close(ret)).toBe(0);
      expect(await s.raw.tryIoctl(s.vm, 0xae_ff)).toMatchObject({ ok: false, error: { request: '0x0000aeff' } });
    });

    test('takes the bytes of a struct, and an address in a mapping', async () => {
      await using s = await open();
      const bytes = KVM_CREATE_GUEST_MEMFD.struct.encode({ size: 0x1000n });
      const made = await s.raw.ioctl(s.vm, KVM_CREATE_GUEST_MEMFD, bytes);
      expect(made.out.size).toBe(0x1000n);
      const { syscalls } = s.raw;
      const address = await syscalls.mmap(0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0n);
      await syscalls.copyIn(address, bytes);
      const other = await s.raw.ioctl(s.vm, KVM_CREATE_GUEST_MEMFD, { address });
      expect(other.ret).toBeGreaterThan(made.ret);
      expect(other.out).toBeUndefined();
      await syscalls.munmap(address, 0x1000);
    });

    test('a null pointer is an EFAULT', async () => {
      await using s = await open();
      expect(await s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD.request, 0)).toMatchObject({ code: 'EFAULT' });
    });

    test('never goes past a buffer or outside a mapping', async () => {
      await using s = await open();
      const short = new Uint8Array(63);
      const far = { address: 0x1000n };
      for (const call of [
        () => s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD, short),
        () => s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD.request, short),
        () => s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD, far),
        () => s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD.request, far),
        () => s.raw.tryIoctl(s.vm, KVM_CREATE_GUEST_MEMFD.request, 0x1000),
      ]) {
        await expect(call()).rejects.toThrow(RangeError);
      }
    });

    test('owns the fds that declared requests return, and closes no others', async () => {
      await using s = await open();
      const { ret: vm } = await s.raw.ioctl(s.host, KVM_CREATE_VM, 0);
      const { ret: gmem } = await s.raw.ioctl(vm, KVM_CREATE_GUEST_MEMFD, { size: 0x1000 });
      await s.raw.close(gmem);
      await s.raw.close(vm);
      await expect(s.raw.close(vm)).rejects.toThrow(RangeError);
      await expect(s.raw.close(1)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
      expect(await s.raw.tryIoctl(vm, KVM_CHECK_EXTENSION, 3)).toMatchObject({ code: 'EBADF' });
    });

    test('closing the fd of a typed object closes the object', async () => {
      await using s = await open();
      await s.raw.close(s.vm.fd);
      expect(s.vm.closed).toBe(true);
      await expect(s.vm.checkExtension(3)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    });

    test('issues many in one crossing, up to the first refusal', async () => {
      await using s = await open();
      const extensions = await s.raw.ioctlMany(s.vm, KVM_CHECK_EXTENSION, [0xffff, 3]);
      expect(extensions).toEqual({ ok: true, completed: 2, ret: 1, outs: [] });
      const page = (slot: number, at: bigint) => ({ slot, guest_phys_addr: at, memory_size: 0x1000n });
      const list = [page(0, 0n), page(1, 0x1000n), page(2, 1n), page(3, 0x2000n)];
      const result = await s.raw.tryIoctlMany(s.vm, KVM_SET_USER_MEMORY_REGION2, list);
      expect(result).toMatchObject({ ok: false, code: 'EINVAL', completed: 2, ret: -22, error: { completed: 2 } });
      expect(result.outs.map(({ slot }) => slot)).toEqual([0, 1, 2]);
      expect(!result.ok && result.error.args).toMatchObject({ slot: 2, guest_phys_addr: 1n });
      const error = await s.raw.ioctlMany(s.vm, KVM_SET_USER_MEMORY_REGION2, list).catch((reason: unknown) => reason);
      expect(isKernelError(error, 'EINVAL')).toBe(true);
    });
  });
}

describe('raw', () => {
  test('shows the arguments as they were when the call was made', async () => {
    await using host = await openHost({ backend: 'mock' });
    const vm = await host.createVm();
    const args = { size: 3n };
    const pending = host.raw.tryIoctl(vm, KVM_CREATE_GUEST_MEMFD, args);
    args.size = 4n;
    const result = await pending;
    expect(!result.ok && result.error.args).toEqual({ size: 3n });
  });

  test('an address field is the field, since no pointer is left to guess', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    await watched.host.raw.tryIoctl(vm, KVM_SET_MEMORY_ATTRIBUTES, { address: 0x5000n });
    const { args } = watched.calls.at(-1)!;
    expect(KVM_SET_MEMORY_ATTRIBUTES.struct.decode(args[2] as Uint8Array).address).toBe(0x5000n);
  });

  test("takes a declaration of one's own", async () => {
    await using host = await openHost({ backend: 'mock' });
    const mine = iow('vm', KVMIO, 0xf0, struct('mine', { one: u64, two: u64 }));
    const result = await host.raw.tryIoctl(await host.createVm(), mine, { two: 2 });
    expect(result).toMatchObject({ ok: false, code: 'ENOTTY', out: { one: 0n, two: 2n } });
  });

  test('refuses a declaration whose struct is smaller than its number says', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    const lying = { ...KVM_CREATE_GUEST_MEMFD, struct: struct('small', { size: u64 }) };
    watched.calls.length = 0;
    await expect(watched.host.raw.tryIoctl(vm, lying, {})).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    expect(watched.calls).toEqual([]);
  });

  test('many is not for requests that return fds', async () => {
    await using watched = await openWatched();
    const list = [0, 0];
    await expect(watched.host.raw.ioctlMany(watched.host, KVM_CREATE_VM, list)).rejects.toThrow('does not return fds');
    expect(watched.calls).toEqual([]);
  });

  test('closes with the host, and its fds with it', async () => {
    const host = await openHost({ backend: 'mock' });
    const { raw, mock } = host;
    await raw.ioctl(host, KVM_CREATE_VM, 0);
    raw.ioctlSync(host, KVM_CREATE_VM, 0);
    expect(mock?.openFds).toBe(3);
    await host.close();
    expect(mock?.openFds).toBe(0);
    expect(() => raw.syscalls).toThrow('Host is closed');
  });
});
