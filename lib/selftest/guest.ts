/**
 * A guest that touches memory: a program on a vCPU, on a real kernel and on the mock alike. Guests whose registers are
 * sealed take no requests; there the mock plays one.
 */

import { KernelError } from '../host/index.ts';
import type { GuestStopped, PageState, Guest as VcpuGuest, Vm } from '../kvm/index.ts';
import type { GuestExit as MockExit, MockGuest } from '../mock/index.ts';

/** The exits that cases know, as plain values to compare with. */
export type GuestExit =
  | {
      readonly reason: 'memory-fault';
      /** Negative. */
      readonly errno: number;
      readonly flags: bigint;
      readonly gpa: bigint;
      readonly size: bigint;
    }
  | { readonly reason: 'mmio'; readonly gpa: bigint; readonly write: boolean }
  /** KVM_RUN failed and kvm_run does not say why: memory of this process that backs the slot cannot be touched. */
  | { readonly reason: 'failed'; readonly errno: number }
  | { readonly reason: 'shutdown' };

type Stopped = { readonly ok: false; readonly exit: GuestExit };
export type GuestRead = { readonly ok: true; readonly bytes: Uint8Array } | Stopped;
export type GuestWrite = { readonly ok: true } | Stopped;

export interface Guest {
  /**
   * Reads at a guest-physical address; an access the guest cannot make answers the exit it causes.
   * `access` is for guests that say themselves what they take a page for (SEV-SNP, TDX); others have no such bit.
   */
  read(gpa: bigint, length: number, access?: PageState): Promise<GuestRead>;
  /** Writes at a guest-physical address; as read. */
  write(gpa: bigint, bytes: Uint8Array, access?: PageState): Promise<GuestWrite>;
}

const seen = (exit: MockExit): GuestExit => {
  if (exit.reason === 'retry') throw new Error('the guest met a conversion under way');
  return exit;
};

/** The mock's own guest, which needs no vCPU. */
export function playedGuest(guest: MockGuest): Guest {
  const options = (access: PageState | undefined) => (access ? { access } : {});
  return {
    read: async (gpa, length, access) => {
      const read = guest.read(gpa, length, options(access));
      return read.ok ? read : { ok: false, exit: seen(read.exit) };
    },
    write: async (gpa, bytes, access) => {
      const written = guest.write(gpa, bytes, options(access));
      return written.ok ? written : { ok: false, exit: seen(written.exit) };
    },
  };
}

/** Put into the VM at its first access. */
export function runningGuest(vm: Vm, defer: (step: () => unknown) => void): Guest {
  let made: Promise<VcpuGuest> | undefined;
  const make = async (): Promise<VcpuGuest> => {
    const guest = await vm.createGuest();
    defer(() => guest.close());
    return guest;
  };
  const touch = async <R extends { readonly ok: true }>(act: (guest: VcpuGuest) => Promise<R | GuestStopped>) => {
    made ??= make();
    const guest = await made;
    try {
      const result = await act(guest);
      return result.ok ? result : { ok: false as const, exit: exitOf(result) };
    } catch (error) {
      if (!(error instanceof KernelError) || error.request !== 'KVM_RUN') throw error;
      return { ok: false as const, exit: { reason: 'failed', errno: error.errno } as const };
    }
  };
  return {
    read: (gpa, length) => touch((guest) => guest.read(gpa, length)),
    write: (gpa, bytes) => touch((guest) => guest.write(gpa, bytes)),
  };
}

/** A guest that stops for anything else has gone wrong. */
function exitOf({ exit }: GuestStopped): GuestExit {
  switch (exit.reason) {
    case 'memory-fault': {
      const { reason, errno, flags, gpa, size } = exit;
      return { reason, errno, flags, gpa, size };
    }
    case 'mmio':
      return { reason: exit.reason, gpa: exit.gpa, write: exit.write };
    default:
      throw new Error(`the guest stopped: ${exit.reason}`);
  }
}
