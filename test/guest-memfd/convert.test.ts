import { describe, expect, test } from 'vitest';
import { KVM_GMEM_CONVERT_PRIVATE, KVM_SET_MEMORY_ATTRIBUTES } from '../../lib/abi/index.ts';
import { isKernelError, isUnsupportedError, isVmDeadError } from '../../lib/host/index.ts';
import { type GuestMemfd, openHost, type Vm } from '../../lib/kvm/index.ts';
import { convertibleType, mocks, openWatched, realKernels, titleOf } from '../host/support/hosts.ts';

const PAGE = 0x1000;
const SIZE = 4 * PAGE;
const GPA = 0x1_0000_0000n;

const inPlace = mocks.filter(({ dialect }) => dialect === 'rfc-convert' || dialect === 'attributes2');

for (const { name, options } of inPlace) {
  describe(`in-place conversion: ${name}`, () => {
    test('takes pages from the host and gives them back with their contents', async () => {
      await using host = await openHost(options);
      const vm = await host.createVm({ type: convertibleType(host) });
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      const map = await gmem.map();
      await map.write(PAGE, Uint8Array.of(7));
      await gmem.convert({ offset: PAGE, size: PAGE, to: 'private' });
      expect(await map.tryRead(PAGE, 1)).toMatchObject({ ok: false, code: 'EFAULT' });
      expect(await map.tryRead(0, 1)).toMatchObject({ ok: true });
      await gmem.convert({ offset: PAGE, size: PAGE, to: 'shared' });
      expect(await map.read(PAGE, 1)).toEqual(Uint8Array.of(7));
    });

    test('of what already is so does nothing', async () => {
      await using host = await openHost(options);
      const vm = await host.createVm({ type: convertibleType(host) });
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true });
      host.mock?.journal.clear();
      await gmem.convert({ offset: 0, size: SIZE, to: 'private' });
      expect(host.mock?.journal.entries.filter(({ step }) => step === 'set-shareability')).toEqual([]);
    });

    test('names the page that blocked it, in all three forms', async () => {
      await using host = await openHost(options);
      const vm = await host.createVm({ type: convertibleType(host) });
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
      using _pin = host.mock!.pin(gmem.fd, 2 * PAGE, PAGE);
      const range = { offset: 0, size: SIZE, to: 'private' } as const;
      const result = await gmem.tryConvert(range);
      expect(result).toMatchObject({ ok: false, code: 'EAGAIN', errno: -11, errorOffset: 0x2000n });
      const error = await gmem.convert(range).catch((reason: unknown) => reason);
      expect(isKernelError(error, 'EAGAIN')).toBe(true);
      expect(error).toMatchObject({ errorOffset: 0x2000n, attempts: 1, fd: gmem.fd });
      expect((error as Error).message).toContain('the page at 0x2000 is still referenced');
    });

    test('past the end of the file is the kernel to refuse', async () => {
      await using host = await openHost(options);
      const vm = await host.createVm({ type: convertibleType(host) });
      const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true });
      const range = { offset: SIZE - PAGE, size: 2 * PAGE, to: 'shared' } as const;
      expect(await gmem.tryConvert(range)).toMatchObject({ ok: false, code: 'EINVAL' });
    });
  });
}

test('RFC v2 leaves garbage in error_offset on ENOMEM, which is not shown', async () => {
  await using watched = await openWatched(
    { kernel: 'rfc-v2' },
    {
      ioctl: (next, fd, request, arg, pointers) => {
        if (request !== KVM_GMEM_CONVERT_PRIVATE.request) return next(fd, request, arg, pointers);
        new DataView((arg as Uint8Array).buffer).setBigUint64(16, 0xdead_b000n, true);
        return -12;
      },
    },
  );
  const vm = await watched.host.createVm();
  const gmem = await vm.createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
  const result = await gmem.tryConvert({ offset: 0, size: SIZE, to: 'private' });
  expect(result).toMatchObject({ ok: false, code: 'ENOMEM' });
  expect(result).not.toHaveProperty('errorOffset');
  expect((result as { error: object }).error).not.toHaveProperty('errorOffset');
});

test('RFC v2 would answer success for a file that cannot be shared, so the layer refuses', async () => {
  await using watched = await openWatched({ kernel: 'rfc-v2' });
  const vm = await watched.host.createVm();
  const gmem = await vm.createGuestMemfd({ size: SIZE });
  watched.calls.length = 0;
  const error = await gmem.tryConvert({ offset: 0, size: SIZE, to: 'shared' }).catch((reason: unknown) => reason);
  expect(isUnsupportedError(error)).toBe(true);
  expect((error as Error).message).toContain('mmap: true');
  expect(watched.calls).toEqual([]);
});

test('attributes2 refuses a VM without private memory, and the error says which have it', async () => {
  await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13' });
  const gmem = await (await host.createVm()).createGuestMemfd({ size: SIZE, mmap: true, initially: 'shared' });
  await expect(gmem.convert({ offset: 0, size: SIZE, to: 'private' })).rejects.toThrow('host.features.convertible');
});

describe('without any conversion', () => {
  const refuses = async (gmem: GuestMemfd) => {
    const error = await gmem.convert({ offset: 0, size: PAGE, to: 'private' }).catch((reason: unknown) => reason);
    expect(isUnsupportedError(error)).toBe(true);
    expect((error as Error).message).toMatch(/KVM_GMEM_CONVERT_SHARED: ENOTTY, KVM_SET_MEMORY_ATTRIBUTES2: ENOTTY/);
  };

  test('the error names what was probed: mock linux-6.18', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'linux-6.18' });
    await refuses(await (await host.createVm()).createGuestMemfd({ size: PAGE }));
  });

  for (const real of realKernels) {
    test.skipIf(real.missing !== undefined)(`the error names what was probed: ${titleOf(real)}`, async (context) => {
      await using host = await openHost(real.options);
      const { dialect } = host.features;
      if (dialect !== 'none') return context.skip(`this kernel converts: ${dialect}`);
      await refuses(await (await host.createVm()).createGuestMemfd({ size: PAGE }));
    });
  }
});

describe('conversion by guest-physical address (vm-attributes)', () => {
  const setUp = async () => {
    const watched = await openWatched({ kernel: 'linux-7.3' });
    const vm = await watched.host.createVm({ type: 'sw-protected' });
    const gmem = await vm.createGuestMemfd({ size: SIZE });
    return { ...watched, vm, gmem };
  };
  const bind = (vm: Vm, gmem: GuestMemfd, slot: number, gmemOffset: number, guestPhysAddr: bigint, size: number) =>
    vm.setMemoryRegion({ slot, guestPhysAddr, size, gmem, gmemOffset });
  const requests = (calls: { args: readonly unknown[] }[]) =>
    calls
      .filter(({ args }) => args[1] === KVM_SET_MEMORY_ATTRIBUTES.request)
      .map(({ args }) => KVM_SET_MEMORY_ATTRIBUTES.struct.decode(args[2] as Uint8Array));

  test('asks the VM, for each region the range lies in, in file order', async () => {
    const { vm, gmem, calls, ...watched } = await setUp();
    await using _ = watched;
    await bind(vm, gmem, 1, 2 * PAGE, GPA, 2 * PAGE);
    await bind(vm, gmem, 0, 0, 2n * GPA, 2 * PAGE);
    calls.length = 0;
    await gmem.convert({ offset: PAGE, size: 2 * PAGE, to: 'private' });
    expect(requests(calls)).toEqual([
      { address: 2n * GPA + 0x1000n, size: 0x1000n, attributes: 8n, flags: 0n },
      { address: GPA, size: 0x1000n, attributes: 8n, flags: 0n },
    ]);
    calls.length = 0;
    await gmem.convert({ offset: 0, size: PAGE, to: 'shared' });
    expect(requests(calls)).toEqual([{ address: 2n * GPA, size: 0x1000n, attributes: 0n, flags: 0n }]);
  });

  test('refuses a range that is not all bound, before any call', async () => {
    const { vm, gmem, calls, ...watched } = await setUp();
    await using _ = watched;
    await bind(vm, gmem, 0, 0, GPA, 2 * PAGE);
    calls.length = 0;
    const result = gmem.tryConvert({ offset: PAGE, size: 2 * PAGE, to: 'private' });
    await expect(result).rejects.toThrow(RangeError);
    await expect(result).rejects.toThrow('file offset 0x2000 is in no memory region');
    expect(calls).toEqual([]);
  });

  test('forgets a region that was deleted', async () => {
    const { vm, gmem, ...watched } = await setUp();
    await using _ = watched;
    const region = await bind(vm, gmem, 0, 0, GPA, SIZE);
    await gmem.convert({ offset: 0, size: SIZE, to: 'private' });
    await region.delete();
    await expect(gmem.convert({ offset: 0, size: SIZE, to: 'shared' })).rejects.toThrow(RangeError);
  });

  test('knows the regions of a duplicate: they are of the file', async () => {
    const { vm, gmem, ...watched } = await setUp();
    await using _ = watched;
    await bind(vm, gmem, 0, 0, GPA, SIZE);
    await (await gmem.dup()).convert({ offset: 0, size: SIZE, to: 'private' });
  });

  test('says how much was converted when a later region is refused', async () => {
    let seen = 0;
    await using watched = await openWatched(
      { kernel: 'linux-7.3' },
      {
        ioctl: (next, fd, request, arg, pointers) =>
          request === KVM_SET_MEMORY_ATTRIBUTES.request && ++seen % 2 === 0 ? -12 : next(fd, request, arg, pointers),
      },
    );
    const vm = await watched.host.createVm({ type: 'sw-protected' });
    const gmem = await vm.createGuestMemfd({ size: SIZE });
    await bind(vm, gmem, 0, 0, GPA, 3 * PAGE);
    await bind(vm, gmem, 1, 3 * PAGE, 2n * GPA, PAGE);
    seen = 0;
    const result = await gmem.tryConvert({ offset: 0, size: SIZE, to: 'private' });
    expect(result).toMatchObject({ ok: false, code: 'ENOMEM', error: { completed: 3 * PAGE } });
  });

  test('names a dead VM', async () => {
    const { vm, gmem, mock, ...watched } = await setUp();
    await using _ = watched;
    await bind(vm, gmem, 0, 0, GPA, SIZE);
    mock.killVm(vm.fd);
    const result = await gmem.tryConvert({ offset: 0, size: SIZE, to: 'private' });
    expect(!result.ok && isVmDeadError(result.error)).toBe(true);
  });

  test('is closed with the VM', async () => {
    const { vm, gmem, ...watched } = await setUp();
    await using _ = watched;
    await bind(vm, gmem, 0, 0, GPA, SIZE);
    await vm.close();
    await expect(gmem.convert({ offset: 0, size: SIZE, to: 'private' })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});
