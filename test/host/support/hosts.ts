/** Hosts for tests: mocks, mocks with a seam to look over, and the real kernel where it can be reached. */

import type { Dialect } from '../../../lib/abi/index.ts';
import { O_CLOEXEC, O_RDWR } from '../../../lib/abi/index.ts';
import { probeBackend } from '../../../lib/host/index.ts';
import { Host, type HostOptions, openHost, type VmType } from '../../../lib/kvm/index.ts';
import { createMock, type MockControls, type MockOptions } from '../../../lib/mock/index.ts';
import { type Answers, type Recorded, watch } from './seam.ts';

export interface WatchedHost extends AsyncDisposable {
  readonly host: Host;
  readonly mock: MockControls;
  /** Calls since the host was opened. */
  readonly calls: Recorded[];
}

export async function openWatched(
  options: MockOptions = {},
  answers: Answers = {},
  dialect?: Dialect,
): Promise<WatchedHost> {
  const { syscalls, controls } = createMock(options);
  const seam = watch(syscalls, answers);
  const opened = {
    syscalls: seam.syscalls,
    system: await syscalls.open('/dev/kvm', O_RDWR | O_CLOEXEC),
    reason: 'a test',
    release: controls.profile.release,
    mock: controls,
  };
  const host = new Host(await probeBackend(opened, dialect && { dialect, by: 'a test' }));
  seam.calls.length = 0;
  return { host, mock: controls, calls: seam.calls, [Symbol.asyncDispose]: () => host.close() };
}

export interface Kernel {
  readonly name: string;
  readonly options: HostOptions;
}

/** One mock for each dialect, and `vm-attributes` as a stock kernel has it. */
export const mocks: readonly (Kernel & { readonly dialect: Dialect })[] = [
  { name: 'mock rfc-v2', options: { backend: 'mock', kernel: 'rfc-v2' }, dialect: 'rfc-convert' },
  { name: 'mock inplace-v13', options: { backend: 'mock', kernel: 'inplace-v13' }, dialect: 'attributes2' },
  { name: 'mock linux-7.3', options: { backend: 'mock', kernel: 'linux-7.3' }, dialect: 'vm-attributes' },
  { name: 'mock linux-6.18', options: { backend: 'mock', kernel: 'linux-6.18' }, dialect: 'none' },
];

/** Why a backend cannot be used here; undefined when it can. */
async function missing(backend: 'native' | 'ffi'): Promise<string | undefined> {
  try {
    await (await openHost({ backend })).close();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The real kernel through both backends; `missing` says why a backend cannot be used. */
export const realKernels: readonly (Kernel & { readonly missing: string | undefined })[] = [
  { name: 'native', options: { backend: 'native' }, missing: await missing('native') },
  { name: 'ffi', options: { backend: 'ffi' }, missing: await missing('ffi') },
];

/** Everything a test can run on: mocks, and the real kernel or the reason why not, for a test's name. */
export const kernels: readonly (Kernel & { readonly missing: string | undefined })[] = [
  ...mocks.map((mock) => ({ ...mock, missing: undefined })),
  ...realKernels,
];

/** For describe.each-like loops: the name of a suite, with what is missing where it is skipped. */
export const titleOf = ({ name, missing }: { readonly name: string; readonly missing?: string | undefined }): string =>
  missing === undefined ? name : `${name} (skipped: ${missing})`;

/** A VM type whose memory can be converted, else the default. */
export const convertibleType = (host: Host): VmType => host.features.convertible.at(-1) ?? 'default';
