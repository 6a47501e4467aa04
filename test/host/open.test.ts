import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { HostOptions } from '../../lib/kvm/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import { createMock, type MockOptions } from '../../lib/mock/index.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { BackendUnavailableError } from '../../lib/syscalls/unavailable.ts';
import { watch } from './support/seam.ts';

/** What each backend is here: a seam, or why it cannot be had. */
const backends: Record<'native' | 'ffi', () => Syscalls> = vi.hoisted(() => ({}) as never);
vi.mock('../../lib/syscalls/open.ts', () => ({ openBackend: (name: 'native' | 'ffi') => backends[name]() }));

const absent = (name: 'native' | 'ffi') => () => {
  throw new BackendUnavailableError(name, ['not built'], ['build it']);
};
/** A mock that passes for a real kernel, or one whose /dev/kvm answers an errno. */
const present = () => createMock().syscalls;
let disposals: number[] = [];
const closedDoor = (errno: number) => () =>
  watch({ ...createMock().syscalls, dispose: () => disposals.push(errno) }, { open: () => errno }).syscalls;

beforeEach(() => {
  vi.unstubAllEnvs();
  disposals = [];
  Object.assign(backends, { native: absent('native'), ffi: absent('ffi') });
});

describe("backend 'auto'", () => {
  const opened = async (options?: HostOptions) => {
    await using host = await openHost(options);
    return { reason: host.reason, isMock: host.mock !== undefined };
  };

  test('takes the addon where it is', async () => {
    Object.assign(backends, { native: present, ffi: present });
    expect(await opened()).toEqual({ reason: '/dev/kvm opens', isMock: false });
  });

  test('takes ffi where there is no addon, and says why', async () => {
    backends.ffi = present;
    expect(await opened({ backend: 'auto' })).toEqual({ reason: '/dev/kvm opens; native: not built', isMock: false });
  });

  test('takes the mock where there is neither, and says why', async () => {
    const reason = 'no real kernel: native: not built; ffi: not built';
    expect(await opened()).toEqual({ reason, isMock: true });
  });

  test('takes the mock where /dev/kvm does not open', async () => {
    Object.assign(backends, { native: closedDoor(-2), ffi: closedDoor(-13) });
    const { reason, isMock } = await opened();
    expect(isMock).toBe(true);
    expect(reason).toBe(
      'no real kernel: native: /dev/kvm does not open: ENOENT, no such file or directory; ' +
        'ffi: /dev/kvm does not open: EACCES, permission denied',
    );
    expect(disposals).toEqual([-2, -13]);
  });

  test('does not hide a programming error behind the mock', async () => {
    backends.native = () => {
      throw new TypeError('a bug');
    };
    await expect(openHost()).rejects.toThrow('a bug');
  });
});

describe('a backend asked for by name', () => {
  test.each(['native', 'ffi'] as const)('%s: no silent fall-back', async (backend) => {
    await expect(openHost({ backend })).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', backend });
  });

  test.each([
    [-2, 'ENOENT', 'modprobe'],
    [-13, 'EACCES', 'usermod -aG kvm'],
    [-1, 'EPERM', '--device /dev/kvm'],
    [-19, 'ENODEV', 'modprobe'],
  ])('/dev/kvm answering %i is told with what to do', async (errno, code, fix) => {
    backends.native = closedDoor(errno);
    const error = await openHost({ backend: 'native' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BackendUnavailableError);
    expect(error).toMatchObject({ backend: 'native', cause: { code, syscall: 'open', args: { path: '/dev/kvm' } } });
    expect((error as Error).message).toContain(`/dev/kvm does not open: ${code}`);
    expect((error as Error).message).toContain(fix);
    expect(disposals).toEqual([errno]);
  });

  test('mock: the kernel and platform are chosen', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', platform: 'tdx', memory: 1 << 20 });
    expect(host.mock).toMatchObject({ platform: 'tdx', profile: { name: 'rfc-v2' } });
    expect(host).toMatchObject({ backend: 'mock', reason: 'asked for by name' });
    expect(host.features.release).toBe(host.mock?.profile.release);
    expect(host.features.guest.available).toBe(true);
  });
});

describe('options', () => {
  const wrong: [string, unknown, string][] = [
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a string', 'mock', 'ERR_INVALID_ARG_TYPE'],
    ['a list', [], 'ERR_INVALID_ARG_TYPE'],
    ['a misspelt key', { backendd: 'mock' }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown backend', { backend: 'qemu' }, 'ERR_INVALID_ARG_VALUE'],
    ['a backend that is no word', { backend: 1 }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown kernel', { backend: 'mock', kernel: 'linux-1.0' }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown platform', { backend: 'mock', platform: 'z80' }, 'ERR_INVALID_ARG_VALUE'],
    ['a kernel for a real backend', { backend: 'native', kernel: 'rfc-v2' }, 'ERR_INVALID_ARG_VALUE'],
    ['a platform for ffi', { backend: 'ffi', platform: 'tdx' }, 'ERR_INVALID_ARG_VALUE'],
    ['memory for whatever comes', { memory: 1 << 20 }, 'ERR_INVALID_ARG_VALUE'],
    ['no memory', { backend: 'mock', memory: 0 }, 'ERR_OUT_OF_RANGE'],
    ['NaN bytes', { backend: 'mock', memory: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['memory in words', { backend: 'mock', memory: '1G' }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown dialect', { backend: 'mock', dialect: 'klingon' }, 'ERR_INVALID_ARG_VALUE'],
  ];
  test.each(wrong)('refused: %s', async (_, options, code) => {
    const open = vi.fn(present);
    backends.native = open;
    await expect(openHost(options as HostOptions)).rejects.toMatchObject({ code });
    expect(open).not.toHaveBeenCalled();
  });
});

describe('a dialect', () => {
  test('is forced by option', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', dialect: 'attributes2' });
    expect(host.features).toMatchObject({ dialect: 'attributes2', dialectReason: 'forced by option dialect' });
    // What the kernel really answered is still told.
    expect(host.features.dialectProbes).toContainEqual({ request: 'KVM_GMEM_CONVERT_SHARED', answer: '0' });
  });

  test('is forced by GMEM_DIALECT', async () => {
    vi.stubEnv('GMEM_DIALECT', 'none');
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
    expect(host.features).toMatchObject({ dialect: 'none', dialectReason: 'forced by GMEM_DIALECT', convertible: [] });
  });

  test('by option goes before the environment, and an empty variable is none', async () => {
    vi.stubEnv('GMEM_DIALECT', 'none');
    await using one = await openHost({ backend: 'mock', dialect: 'vm-attributes' });
    vi.stubEnv('GMEM_DIALECT', '');
    await using other = await openHost({ backend: 'mock', kernel: 'rfc-v2' });
    expect([one.features.dialect, other.features.dialect]).toEqual(['vm-attributes', 'rfc-convert']);
  });

  test('that is misspelt in the environment is an error that names the variable', async () => {
    vi.stubEnv('GMEM_DIALECT', 'rfc_convert');
    await expect(openHost({ backend: 'mock' })).rejects.toThrow(/^GMEM_DIALECT must be one of 'rfc-convert'/);
  });

  test('that is forced decides what is asked of the kernel', async () => {
    await using host = await openHost({ backend: 'mock', kernel: 'rfc-v2', dialect: 'attributes2' });
    const gmem = await (await host.createVm()).createGuestMemfd({ size: 0x1000, mmap: true });
    expect(await gmem.tryConvert({ offset: 0, size: 0x1000, to: 'shared' })).toMatchObject({
      code: 'ENOTTY',
      error: { request: 'KVM_SET_MEMORY_ATTRIBUTES2' },
    });
  });
});

describe('what is for the mock alone', () => {
  const given: Required<MockOptions> = {
    kernel: 'inplace-v13',
    platform: 'tdx',
    memory: 1 << 30,
    iommu: 'notifier',
    memlock: 0x1_0000,
    devices: [
      { address: '0000:00:02.0', driver: 'vfio-pci', group: 7 },
      { address: '0000:00:03.0', driver: 'vfio-pci', group: 7 },
    ],
    hugePages: { '2M': 4 },
    gmemInPlaceConversion: true,
    invariants: true,
  };

  test('goes to the mock, all of it', async () => {
    await using host = await openHost({ backend: 'mock', ...given });
    const { mock } = host;
    expect([mock?.profile.name, mock?.platform, mock?.iommuPolicy]).toEqual(['inplace-v13', 'tdx', 'notifier']);
    for (const { address, group } of given.devices) {
      expect(await host.vfio.device(address)).toMatchObject({ address, group });
    }
    expect(host.features.vfioDevices.map(({ address }) => address)).toEqual(['0000:00:02.0', '0000:00:03.0']);
    expect((await host.hugePagePools()).find(({ size }) => size === '2M')?.total).toBe(4);
  });

  test.each(Object.entries(given))('%s is refused without backend mock', async (name, value) => {
    await expect(openHost({ [name]: value })).rejects.toThrow(
      `options.${name} must be left out unless backend is 'mock'`,
    );
  });
});
