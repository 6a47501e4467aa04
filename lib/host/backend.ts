/** Which backend a host gets, and why. */

import { release } from 'node:os';
import { errnoText } from '../abi/errno.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/linux.ts';
import type { MockControls } from '../mock/index.ts';
import { openBackend, type RealBackend } from '../syscalls/open.ts';
import type { Syscalls } from '../syscalls/seam.ts';
import { BackendUnavailableError } from '../syscalls/unavailable.ts';
import { KernelError } from './errors.ts';
import { type HostOptions, mockOptions } from './options.ts';

/** A backend with /dev/kvm open on it. */
export interface OpenedBackend {
  readonly syscalls: Syscalls;
  /** The fd of /dev/kvm. */
  readonly system: number;
  /** Why this backend, in a sentence. */
  readonly reason: string;
  /** As uname -r says. */
  readonly release: string;
  readonly mock?: MockControls;
}

const KVM = '/dev/kvm';
/** The addon first: it is faster, and works in worker threads. */
const PREFERENCE: readonly RealBackend[] = ['native', 'ffi'];

export async function chooseBackend(options: HostOptions): Promise<OpenedBackend> {
  const { backend = 'auto' } = options;
  if (backend === 'mock') return openMock(options, 'asked for by name');
  if (backend !== 'auto') return openReal(backend, 'asked for by name');
  const refusals: string[] = [];
  for (const name of PREFERENCE) {
    try {
      return await openReal(name, [`${KVM} opens`, ...refusals].join('; '));
    } catch (error) {
      if (!(error instanceof BackendUnavailableError)) throw error;
      refusals.push(`${name}: ${error.reasons.join(', ')}`);
    }
  }
  return openMock({}, `no real kernel: ${refusals.join('; ')}`);
}

/** @throws BackendUnavailableError when there is no such backend here, or no /dev/kvm for it */
async function openReal(name: RealBackend, reason: string): Promise<OpenedBackend> {
  const syscalls = openBackend(name);
  const system = await syscalls.open(KVM, O_RDWR | O_CLOEXEC);
  if (system >= 0) return { syscalls, system, reason, release: release() };
  syscalls.dispose();
  throw cannotOpen(name, system);
}

function cannotOpen(name: RealBackend, answer: number): BackendUnavailableError {
  const error = new KernelError({ syscall: 'open', args: { path: KVM } }, answer);
  const fixes = [...(error.hint ? [error.hint] : []), "use { backend: 'mock' }, which needs no kernel"];
  return new BackendUnavailableError(name, [`${KVM} does not open: ${error.code}, ${errnoText(answer)}`], fixes, error);
}

async function openMock(options: HostOptions, reason: string): Promise<OpenedBackend> {
  // Loaded when needed: a program on a real kernel has no use for a second one.
  const { createMock } = await import('../mock/index.ts');
  const { syscalls, controls } = createMock(mockOptions(options));
  const system = await syscalls.open(KVM, O_RDWR | O_CLOEXEC);
  if (system < 0) throw new KernelError({ syscall: 'open', args: { path: KVM } }, system);
  return { syscalls, system, reason, release: controls.profile.release, mock: controls };
}
