import { describe, expect, test } from 'vitest';
import { errno, KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM, KVM_GET_API_VERSION, O_RDWR } from '../../lib/abi/index.ts';
import { isKernelError, probeBackend } from '../../lib/host/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { createMock, type ProfileName, profileNames } from '../../lib/mock/index.ts';
import { mocks, openWatched, realKernels, titleOf } from './support/hosts.ts';
import { type Answers, watch } from './support/seam.ts';

/** Answers one request with an errno. */
const refusing = (request: number, answer: number): Answers => ({
  ioctl: (next, fd, number, ...rest) => (number === request ? answer : next(fd, number, ...rest)),
  ioctlFd: (next, fd, number, ...rest) => (number === request ? answer : next(fd, number, ...rest)),
});

describe('the dialect', () => {
  for (const { name, options, dialect } of mocks) {
    test(`of ${name} is ${dialect}`, async () => {
      await using host = await openHost(options);
      expect(host.features.dialect).toBe(dialect);
    });
  }

  test('is told with what the kernel answered', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'inplace-v13' });
    expect(host.features.dialectReason).toBe('KVM_SET_MEMORY_ATTRIBUTES2 of nothing answered EINVAL');
    expect(host.features.dialectProbes).toEqual([
      { request: 'KVM_CREATE_GUEST_MEMFD', answer: 'fd' },
      { request: 'KVM_GMEM_CONVERT_SHARED', answer: 'ENOTTY' },
      { request: 'KVM_SET_MEMORY_ATTRIBUTES2', answer: 'EINVAL' },
      { request: 'KVM_SET_MEMORY_ATTRIBUTES', answer: 'ENOTTY' },
    ]);
  });

  test('is the in-place one where the VM ioctl is there as well, and the stock one where in-place is off', async () => {
    await using on = await openHost({ backend: 'mock', kernel: 'inplace-v13', gmemInPlaceConversion: true });
    await using off = await openHost({ backend: 'mock', kernel: 'inplace-v13', gmemInPlaceConversion: false });
    expect(on.features.dialectProbes.at(-1)).toEqual({ request: 'KVM_SET_MEMORY_ATTRIBUTES', answer: 'EINVAL' });
    expect([on.features.dialect, off.features.dialect]).toEqual(['attributes2', 'vm-attributes']);
  });
});

describe('what VM types take', () => {
  const flagsOf = async (kernel: ProfileName) => {
    await using host = await openHost({ backend: 'mock', kernel });
    return host.features;
  };

  test('on a stock kernel: no shared start where memory can be private', async () => {
    const { createFlags, convertible, vmTypes } = await flagsOf('linux-7.3');
    expect(vmTypes).toEqual(['default', 'sw-protected']);
    expect(createFlags.default).toEqual({
      names: ['GUEST_MEMFD_FLAG_MMAP', 'GUEST_MEMFD_FLAG_INIT_SHARED'],
      bits: 3n,
      mmap: true,
      initShared: true,
      initPrivate: true,
      hugePageSizes: [],
    });
    expect(createFlags['sw-protected']).toMatchObject({ bits: 1n, initShared: false, initPrivate: true });
    expect(convertible).toEqual(['sw-protected']);
  });

  test('with RFC v2: sharing and starting private', async () => {
    const { createFlags, convertible } = await flagsOf('rfc-v2');
    expect(createFlags.default?.names).toContain('GUEST_MEMFD_FLAG_SUPPORT_SHARED');
    expect(createFlags.default?.names).toContain('GUEST_MEMFD_FLAG_INIT_PRIVATE');
    expect(createFlags.default).toMatchObject({ mmap: true, initShared: true, initPrivate: true });
    expect(createFlags.default?.names).toContain('GUEST_MEMFD_FLAG_HUGETLB');
    expect(createFlags.default?.hugePageSizes).toEqual(['2M', '1G']);
    expect(convertible).toEqual(['default', 'sw-protected']);
  });

  test('with RFC v2 in a kernel without CONFIG_KVM_GMEM_HUGETLB: no huge pages', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', hugePages: false });
    expect(host.features.hugePageSizes).toEqual([]);
    expect(host.features.createFlags.default).toMatchObject({ bits: 3n, hugePageSizes: [] });
  });

  test('with in-place conversion: only VMs with private memory convert', async () => {
    const { createFlags, convertible } = await flagsOf('inplace-v13');
    expect(createFlags['sw-protected']).toMatchObject({ bits: 3n, initShared: true, initPrivate: true });
    expect(convertible).toEqual(['sw-protected']);
  });

  test('of a type that is announced and refused are left out', async () => {
    const refuseProtected: Answers = {
      ioctlFd: (next, fd, request, arg, pointers) =>
        request === KVM_CREATE_VM.request && arg === 1 ? -errno.EBUSY : next(fd, request, arg, pointers),
    };
    await using watched = await openWatched({}, refuseProtected);
    expect(watched.host.features.vmTypes).toEqual(['default', 'sw-protected']);
    expect(Object.keys(watched.host.features.createFlags)).toEqual(['default']);
  });
});

describe('a kernel', () => {
  for (const code of ['ENOTTY', 'EINVAL'] as const) {
    test(`without guest_memfd (${code}) opens, and says so`, async () => {
      await using watched = await openWatched({}, refusing(KVM_CREATE_GUEST_MEMFD.request, -errno[code]));
      const { features } = watched.host;
      expect(features).toMatchObject({ guestMemfd: false, mmap: false, createFlags: {}, convertible: [] });
      expect(features.dialectProbes[0]).toEqual({ request: 'KVM_CREATE_GUEST_MEMFD', answer: code });
    });
  }

  test('without KVM_CAP_VM_TYPES has the default type only', async () => {
    await using watched = await openWatched(
      {},
      {
        ioctl: (next, fd, request, arg, pointers) => (arg === 235 ? 0 : next(fd, request, arg, pointers)),
      },
    );
    expect(watched.host.features.vmTypes).toEqual(['default']);
  });

  test('without any VM is an error with the reason, and leaves nothing open', async () => {
    const { syscalls, controls } = createMock();
    const seam = watch(syscalls, refusing(KVM_CREATE_VM.request, -errno.EBUSY));
    const system = await syscalls.open('/dev/kvm', O_RDWR);
    const opened = { syscalls: seam.syscalls, system, reason: '', release: '', mock: controls };
    const error = await probeBackend(opened, undefined).catch((reason: unknown) => reason);
    expect(isKernelError(error, 'EBUSY')).toBe(true);
    expect((error as Error).message).toContain('another hypervisor');
    expect(controls.openFds).toBe(0);
  });

  test('whose probe throws leaves nothing open', async () => {
    const { syscalls, controls } = createMock();
    const seam = watch(syscalls, refusing(KVM_GET_API_VERSION.request, -errno.EPERM));
    const system = await syscalls.open('/dev/kvm', O_RDWR);
    const opened = { syscalls: seam.syscalls, system, reason: '', release: '', mock: controls };
    await expect(probeBackend(opened, undefined)).rejects.toMatchObject({ code: 'EPERM' });
    expect(seam.calls.at(-1)).toEqual({ name: 'close', args: [system] });
    expect(controls.openFds).toBe(0);
  });
});

describe('the probe', () => {
  for (const kernel of profileNames) {
    for (const platform of ['software-protected', 'sev-snp', 'tdx'] as const) {
      test(`closes all but /dev/kvm on ${kernel}, ${platform}, and leaves an empty journal`, async () => {
        await using host = await openHost({ backend: 'mock', kernel, platform });
        expect(host.mock?.openFds).toBe(1);
        expect(host.mock?.pagesInUse).toBe(0);
        expect(host.mock?.journal.entries).toEqual([]);
      });
    }
  }
});

describe('a real kernel', () => {
  for (const real of realKernels) {
    describe.skipIf(real.missing !== undefined)(titleOf(real), () => {
      test('is described consistently', async () => {
        await using host = await openHost(real.options);
        const { features } = host;
        expect(features.apiVersion).toBe(12);
        expect(features.vmTypes).toContain('default');
        expect(features.release).toMatch(/^\d+\.\d+/);
        expect(features.guestMemfd).toBe(features.createFlags.default !== undefined);
        expect(features.maxMemslots).toBeGreaterThanOrEqual(32);
        expect(features.dialect === 'none').toBe(
          features.dialectProbes.every(({ answer }) => /ENOTTY|fd/.test(answer)),
        );
        expect(host.mock).toBeUndefined();
      });
    });
  }
});
