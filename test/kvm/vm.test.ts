import { describe, expect, test } from 'vitest';
import { KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM, KVM_SET_USER_MEMORY_REGION2 } from '../../lib/abi/index.ts';
import { isUnsupportedError, isVmDeadError } from '../../lib/host/index.ts';
import { openHost, type Vm, type VmType } from '../../lib/kvm/index.ts';
import { kernels, openWatched, titleOf } from '../host/support/hosts.ts';

const SIZE = 0x4000;

for (const kernel of kernels) {
  describe.skipIf(kernel.missing !== undefined)(titleOf(kernel), () => {
    test('makes a VM of every type it announces and can make', async () => {
      await using host = await openHost(kernel.options);
      for (const type of Object.keys(host.features.createFlags) as VmType[]) {
        await using vm = await host.createVm({ type });
        expect(vm.type).toBe(type);
        expect(vm.fd).toBeGreaterThan(2);
      }
    });

    test('refuses a type it does not have with EINVAL and the place to look', async () => {
      await using host = await openHost(kernel.options);
      const absent = (['sev', 'tdx'] as const).find((type) => !host.features.vmTypes.includes(type));
      const result = await host.tryCreateVm({ type: absent ?? 'sev' });
      expect(result).toMatchObject({ ok: false, code: 'EINVAL', errno: -22 });
      await expect(host.createVm({ type: absent ?? 'sev' })).rejects.toThrow('host.features.vmTypes');
    });

    test('answers the same capability by name and by number', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      expect(await vm.checkExtension('KVM_CAP_USER_MEMORY')).toBe(1);
      expect(await vm.checkExtension(3)).toBe(1);
      expect(await vm.checkExtension(0xffff)).toBe(0);
      expect(await vm.tryCheckExtension('KVM_CAP_USER_MEMORY2')).toEqual({ ok: true, value: 1 });
    });

    test('refuses to enable what cannot be', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      expect(await vm.tryEnableCap(0xffff)).toMatchObject({ ok: false, code: 'EINVAL' });
      await expect(vm.enableCap('KVM_CAP_GUEST_MEMFD')).rejects.toThrow('KVM_ENABLE_CAP');
    });

    test('makes guest_memfds that are as asked for', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      await using shared = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      await using locked = await vm.createGuestMemfd({ size: BigInt(SIZE), mmap: true });
      await using unmapped = await vm.createGuestMemfd({ size: SIZE });
      expect([shared, locked, unmapped].map(({ initially }) => initially)).toEqual(['shared', 'private', 'private']);
      expect(shared.size).toBe(BigInt(SIZE));
      expect((await shared.stat()).size).toBe(BigInt(SIZE));
      await using map = await shared.map();
      await map.write(0, Uint8Array.of(1, 2, 3));
      expect(await map.read(0, 3)).toEqual(Uint8Array.of(1, 2, 3));
      await using blind = await locked.map();
      expect(await blind.tryRead(0, 1)).toMatchObject({ ok: false, code: 'EFAULT' });
      expect(await unmapped.tryMap()).toMatchObject({ ok: false, code: 'ENODEV' });
    });

    test('passes raw flags as they are', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      expect(await vm.tryCreateGuestMemfd({ size: SIZE, rawFlags: 1n << 40n })).toMatchObject({ code: 'EINVAL' });
      await using gmem = await vm.createGuestMemfd({ size: SIZE, rawFlags: 0 });
      expect(gmem).toMatchObject({ flags: 0n, initially: 'private' });
    });

    test('sets a memory region, refuses an overlap, deletes it, and sets another', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      await using gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      await using map = await gmem.map();
      const at = { guestPhysAddr: 0x1_0000_0000n, size: SIZE, gmem, userspaceAddr: map };
      const region = await vm.setMemoryRegion({ slot: 0, ...at });
      expect(region).toMatchObject({ slot: 0, addressSpace: 0, guestPhysAddr: 0x1_0000_0000n, size: BigInt(SIZE) });
      expect(await vm.trySetMemoryRegion({ slot: 1, ...at })).toMatchObject({ ok: false, code: 'EEXIST' });
      expect(region.deleted).toBe(false);
      await region.delete();
      expect(region.deleted).toBe(true);
      await using again = await vm.setMemoryRegion({ slot: 1, ...at });
      expect(again.deleted).toBe(false);
    });

    test('sets a region without a guest_memfd, read-only and logged', async () => {
      await using host = await openHost(kernel.options);
      await using vm = await host.createVm();
      const region = { slot: 0, guestPhysAddr: 0, size: 0x1000 };
      await vm.setMemoryRegion({ ...region, readonly: true });
      await vm.deleteMemoryRegion(0);
      await vm.setMemoryRegion({ ...region, logDirtyPages: true });
      // The flags of a slot that has memory of its own may change; the first object then stands for nothing.
      const plain = await vm.setMemoryRegion(region);
      await plain.delete();
      await expect(vm.deleteMemoryRegion(0)).rejects.toMatchObject({ code: 'EINVAL' });
    });
  });
}

describe('a memory region', () => {
  test('is deleted once: the second time, and after another took its slot, nothing happens', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    const region = { slot: 2, guestPhysAddr: 0, size: 0x1000 };
    const first = await vm.setMemoryRegion(region);
    const second = await vm.setMemoryRegion({ ...region, logDirtyPages: true });
    expect([first.deleted, second.deleted]).toEqual([true, false]);
    watched.calls.length = 0;
    await first.delete();
    expect(watched.calls).toEqual([]);
    await second.delete();
    await second.delete();
    expect(watched.calls).toHaveLength(1);
  });

  test('deleted through the VM is gone, and disposing of it after the VM is no error', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    const region = await vm.setMemoryRegion({ slot: 0, guestPhysAddr: 0, size: 0x1000 });
    const other = await vm.setMemoryRegion({ slot: 1, guestPhysAddr: 0x1000, size: 0x1000 });
    await vm.deleteMemoryRegion(0);
    expect(region.deleted).toBe(true);
    await vm.close();
    await other[Symbol.asyncDispose]();
    await expect(other.delete()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('can be in the second address space', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    await vm.setMemoryRegion({ slot: 3, addressSpace: 1, guestPhysAddr: 0, size: 0x1000 });
    const { args } = watched.calls.at(-1)!;
    expect(KVM_SET_USER_MEMORY_REGION2.struct.decode(args[2] as Uint8Array).slot).toBe(0x1_0003);
    await vm.deleteMemoryRegion(3, 1);
    expect(await vm.tryDeleteMemoryRegion(3, 1)).toMatchObject({ code: 'EINVAL' });
  });

  test('takes no guest_memfd of another host, whose fds mean other files here', async () => {
    await using one = await openWatched();
    await using other = await openWatched();
    const vm = await one.host.createVm();
    const foreign = await (await other.host.createVm()).createGuestMemfd({ size: SIZE });
    one.calls.length = 0;
    const region = { slot: 0, guestPhysAddr: 0, size: SIZE, gmem: foreign };
    await expect(vm.setMemoryRegion(region)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
    expect(one.calls).toEqual([]);
  });
});

describe('creation flags', () => {
  const flagsFor = async (
    kernel: 'rfc-v2' | 'inplace-v13',
    wish: { mmap?: boolean; initially?: 'private' | 'shared' },
  ) => {
    await using watched = await openWatched({ kernel });
    const vm = await watched.host.createVm({ type: 'sw-protected' });
    await vm.createGuestMemfd({ size: SIZE, ...wish });
    const { args } = watched.calls.find((call) => call.args[1] === KVM_CREATE_GUEST_MEMFD.request)!;
    return KVM_CREATE_GUEST_MEMFD.struct.decode(args[2] as Uint8Array).flags;
  };

  test('are translated: the same bits mean opposite things', async () => {
    const wishes = [{}, { mmap: true }, { mmap: true, initially: 'shared' }] as const;
    expect(await Promise.all(wishes.map((wish) => flagsFor('rfc-v2', wish)))).toEqual([0n, 3n, 1n]);
    expect(await Promise.all(wishes.map((wish) => flagsFor('inplace-v13', wish)))).toEqual([0n, 1n, 3n]);
    expect(await flagsFor('inplace-v13', { initially: 'shared' })).toBe(2n);
  });

  test('do not exist with RFC v2 for shared memory that cannot be mapped', async () => {
    const error = await flagsFor('rfc-v2', { initially: 'shared' }).catch((reason: unknown) => reason);
    expect(isUnsupportedError(error)).toBe(true);
    expect((error as Error).message).toContain('say mmap: true');
  });
});

describe('memory attributes', () => {
  test('reach a stock kernel, by word or by bits', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'linux-7.3' });
    const vm = await host.createVm({ type: 'sw-protected' });
    await vm.setMemoryAttributes({ address: 0, size: 0x1000, to: 'private' });
    await vm.setMemoryAttributes({ address: 0, size: 0x1000, attributes: 8n });
    expect(await vm.trySetMemoryAttributes({ address: 0, size: 0x1000, attributes: 1 })).toMatchObject({
      code: 'EINVAL',
    });
  });

  test('are unknown where the guest_memfd keeps the state', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13' });
    const vm = await host.createVm({ type: 'sw-protected' });
    await expect(vm.setMemoryAttributes({ address: 0, size: 0x1000, to: 'shared' })).rejects.toMatchObject({
      code: 'ENOTTY',
      request: 'KVM_SET_MEMORY_ATTRIBUTES',
    });
  });
});

describe('a VM that KVM killed', () => {
  test('is named so by every request on it', async () => {
    await using watched = await openWatched();
    const vm = await watched.host.createVm();
    watched.mock.killVm(vm.fd);
    const results = await Promise.all([
      vm.tryCheckExtension(3),
      vm.tryEnableCap(1),
      vm.tryCreateGuestMemfd({ size: SIZE }),
      vm.trySetMemoryRegion({ slot: 0, guestPhysAddr: 0, size: SIZE }),
      vm.tryDeleteMemoryRegion(0),
      vm.trySetMemoryAttributes({ address: 0, size: 0x1000, to: 'private' }),
    ]);
    expect(results.map((result) => !result.ok && isVmDeadError(result.error))).toEqual(Array(6).fill(true));
  });

  test('is not confused with an EIO of a live one', async () => {
    await using watched = await openWatched(
      {},
      {
        ioctl: (next, fd, request, arg, pointers) =>
          request === KVM_SET_USER_MEMORY_REGION2.request ? -5 : next(fd, request, arg, pointers),
      },
    );
    const vm = await watched.host.createVm();
    const result = await vm.tryDeleteMemoryRegion(0);
    expect(result).toMatchObject({ ok: false, code: 'EIO' });
    expect(!result.ok && isVmDeadError(result.error)).toBe(false);
  });
});

const limit = { reached: false };

test('an fd limit is an EMFILE that says what to do', async () => {
  await using watched = await openWatched(
    {},
    {
      ioctlFd: (next, fd, request, arg, pointers) =>
        request === KVM_CREATE_VM.request && limit.reached ? -24 : next(fd, request, arg, pointers),
    },
  );
  limit.reached = true;
  await expect(watched.host.createVm()).rejects.toThrow(/^EMFILE: .* -> .*ulimit -n/);
});

describe('the stack of an error', () => {
  const framesOf = ({ stack }: Error): string[] => stack!.split('\n').filter((line) => /^ {4}at /.test(line));

  async function makesNonsense(vm: Vm) {
    await vm.createGuestMemfd({ size: SIZE, rawFlags: 1n << 50n });
  }
  async function triesNonsense(vm: Vm) {
    return await vm.tryCreateGuestMemfd({ size: SIZE, rawFlags: 1n << 50n });
  }

  test('starts at the method that was called, and its caller', async () => {
    await using host = await openHost({ backend: 'mock' });
    const vm = await host.createVm();
    const error = (await makesNonsense(vm).catch((reason: unknown) => reason)) as Error;
    // Node's own frame of the loop that goes on with promises stands between them when it was that loop that did.
    const [first, second] = framesOf(error).filter((frame) => !frame.includes('node:internal/'));
    expect(first).toContain('Vm.createGuestMemfd');
    expect(second).toContain('makesNonsense');
  });

  test('of a result that was not thrown has the caller too', async () => {
    await using host = await openHost({ backend: 'mock' });
    const result = await triesNonsense(await host.createVm());
    expect(!result.ok && result.error.stack).toContain('triesNonsense');
  });
});
