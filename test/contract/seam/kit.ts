/** What a check of the seam works with: one backend, in one of its two forms, and files that are closed at the end. */

import { expect, onTestFinished } from 'vitest';
import { KVM_CREATE_GUEST_MEMFD, KVM_CREATE_VM, KVM_X86_DEFAULT_VM } from '../../../lib/abi/kvm.ts';
import { MAP_SHARED, O_RDWR, PROT_READ, PROT_WRITE } from '../../../lib/abi/linux.ts';
import { type AsyncCalls, CALL_NAMES, type Syscalls } from '../../../lib/syscalls/seam.ts';

export type MakeSyscalls = () => Syscalls;
export const FORMS = ['asynchronous', 'synchronous'] as const;
export type Form = (typeof FORMS)[number];

/** No process has as many open. */
export const NO_SUCH_FD = 1_000_000;
export const PAGE = 4096;

export interface Kit {
  readonly syscalls: Syscalls;
  /** Every call as a promise; in the synchronous form an answer or error of the Sync twin. */
  readonly calls: AsyncCalls;
  memfd(size: number): Promise<number>;
  vm(): Promise<number>;
  guestMemfd(vm: number, size: number, flags: bigint): Promise<number>;
  /** Closed when the test ends, unless the test does. */
  own(fd: number): number;
  map(fd: number, length: number, prot?: number): Promise<bigint>;
}

export function createKit(make: MakeSyscalls, form: Form): Kit {
  const syscalls = make();
  const calls = form === 'asynchronous' ? (syscalls as AsyncCalls) : synchronous(syscalls);
  const open = new Set<number>();
  onTestFinished(() => {
    for (const fd of open) syscalls.closeSync(fd);
    syscalls.dispose();
  });
  const own = (fd: number): number => {
    expect(fd, 'a new fd').toBeGreaterThanOrEqual(0);
    open.add(fd);
    return fd;
  };
  return {
    syscalls,
    calls,
    own,
    memfd: async (size) => {
      const fd = own(await calls.memfdCreate('contract', 0));
      expect(await calls.ftruncate(fd, BigInt(size))).toBe(0);
      return fd;
    },
    vm: async () => {
      const system = own(await calls.open('/dev/kvm', O_RDWR));
      return own(await calls.ioctlFd(system, KVM_CREATE_VM.request, KVM_X86_DEFAULT_VM));
    },
    guestMemfd: async (vm, size, flags) => {
      const struct = KVM_CREATE_GUEST_MEMFD.struct.encode({ size, flags });
      return own(await calls.ioctlFd(vm, KVM_CREATE_GUEST_MEMFD.request, struct));
    },
    map: async (fd, length, prot = PROT_READ | PROT_WRITE) => {
      const address = await calls.mmap(length, prot, MAP_SHARED, fd, 0n);
      expect(address, 'an address').toBeGreaterThan(0n);
      onTestFinished(() => {
        try {
          syscalls.munmapSync(address, length);
        } catch {
          // The test has done it.
        }
      });
      return address;
    },
  };
}

function synchronous(syscalls: Syscalls): AsyncCalls {
  const now = (name: string) => (syscalls as unknown as Record<string, (...args: unknown[]) => unknown>)[`${name}Sync`];
  return Object.fromEntries(
    CALL_NAMES.map((name) => [name, async (...args: unknown[]) => now(name)?.(...args)]),
  ) as unknown as AsyncCalls;
}

export function bytesOf(size: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >>> 8) + seed) & 0xff);
}
