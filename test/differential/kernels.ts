/** The two kernels: this machine's, and the mock that claims to be it. */

import { accessSync, constants } from 'node:fs';
import { GUP_TEST_PATH } from '../../lib/abi/gup-test.ts';
import type { Dialect } from '../../lib/abi/ioctl.ts';
import { O_CLOEXEC, O_RDWR } from '../../lib/abi/linux.ts';
import { KVM_CPUID_ENTRY_BYTES, KVM_GET_SUPPORTED_CPUID } from '../../lib/abi/vcpu.ts';
import { vmTypeNumbers } from '../../lib/host/vm-types.ts';
import { type Features, openHost } from '../../lib/kvm/index.ts';
import { createMock, type MockOptions } from '../../lib/mock/index.ts';
import type { Syscalls } from '../../lib/syscalls/seam.ts';
import { DEVICE } from './iommu/commands/index.ts';
import type { Kernels } from './run.ts';
import { Side } from './side.ts';

export interface OpenKernels extends Kernels, AsyncDisposable {
  /** What they are, for the head of a report. */
  readonly about: readonly string[];
}

/** More than any CPU has. */
const CPUID_ENTRIES = 256;

/** @throws BackendUnavailableError where there is no real kernel to compare with */
export async function openKernels(backend: 'native' | 'ffi'): Promise<OpenKernels> {
  const host = await openHost({ backend });
  const { features } = host;
  const guest = await host.guestSupport();
  const options = mockFor(features);
  const { syscalls } = host.raw;
  const system = syscalls.openSync('/dev/kvm', O_RDWR | O_CLOEXEC);
  const real = new Side(syscalls, system, cpuidOf(syscalls, system));
  const pins = whyNoPins();
  return {
    facts: {
      dialect: features.dialect,
      vmTypes: features.vmTypes.map((name) => vmTypeNumbers[name]),
      guest: guest.available,
      pins: pins === undefined,
      iommufdTest: features.iommufdTest.available,
      vfioDevice: features.vfioDevices.some(({ address }) => address === DEVICE),
    },
    real,
    mock: () => mockSide(options),
    names: [backend, 'mock'],
    about: [
      `${backend}: Linux ${features.release}, dialect ${features.dialect}: ${features.dialectReason}`,
      `mock: ${createMock(options).syscalls.description}`,
      `guest: ${guest.available ? '' : 'skipped: '}${guest.why}`,
      `pins: ${pins === undefined ? 'through gup_test' : `skipped: ${pins}`}`,
    ],
    [Symbol.asyncDispose]: async () => {
      syscalls.closeSync(system);
      await host.close();
    },
  };
}

export function mockSide(options: MockOptions): Side {
  const { syscalls, controls } = createMock(options);
  const kvm = syscalls.openSync('/dev/kvm', O_RDWR | O_CLOEXEC);
  return new Side(syscalls, kvm, cpuidOf(syscalls, kvm), controls);
}

function cpuidOf(syscalls: Syscalls, system: number): Uint8Array {
  const { struct, request } = KVM_GET_SUPPORTED_CPUID;
  const bytes = new Uint8Array(struct.size + CPUID_ENTRIES * KVM_CPUID_ENTRY_BYTES);
  bytes.set(struct.encode({ nent: CPUID_ENTRIES }));
  const ret = syscalls.ioctlSync(system, request, bytes);
  if (ret < 0) throw new Error(`KVM_GET_SUPPORTED_CPUID answers ${ret}`);
  return bytes;
}

const DIALECT_PROFILES: Partial<Record<Dialect, MockOptions>> = {
  'rfc-convert': { kernel: 'rfc-v2' },
  attributes2: { kernel: 'inplace-v13' },
};

/** The profile of a kernel: by what it speaks, and of stock kernels by their release. */
function mockFor({ dialect, release, dialectProbes, hugePageSizes }: Features): MockOptions {
  const patched = DIALECT_PROFILES[dialect];
  if (dialect === 'rfc-convert' && hugePageSizes.length === 0) return { ...patched, hugePages: false };
  if (!patched) return { kernel: Number.parseInt(release, 10) >= 7 ? 'linux-7.3' : 'linux-6.18' };
  const stillThere = dialectProbes.some(
    ({ request, answer }) => request === 'KVM_SET_MEMORY_ATTRIBUTES' && answer !== 'ENOTTY',
  );
  return dialect === 'attributes2' && stillThere ? { ...patched, gmemInPlaceConversion: true } : patched;
}

function whyNoPins(): string | undefined {
  try {
    accessSync(GUP_TEST_PATH, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `${GUP_TEST_PATH}: ${(error as NodeJS.ErrnoException).code}`;
  }
}
