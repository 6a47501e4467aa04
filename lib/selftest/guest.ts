/** A guest that touches memory: a program on a vCPU, on a real kernel and on the mock alike. */

import { KernelError } from '../host/index.ts';
import type { GuestStopped, PageState, TouchOptions, Guest as VcpuGuest, Vm } from '../kvm/index.ts';

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
  | { readonly reason: 'failed'; readonly errno: number };

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

/** Put into the VM at its first access. */
export function runningGuest(vm: Vm, defer: (step: () => unknown) => void): Guest {
  let made: Promise<VcpuGuest> | undefined;
  const make = async (): Promise<VcpuGuest> => {
    const guest = await vm.createGuest();
    defer(() => guest.close());
    return guest;
  };
  const touch = async <R extends { readonly ok: true }>(
    act: (guest: VcpuGuest, options: TouchOptions) => Promise<R | GuestStopped>,
    access: PageState | undefined,
  ) => {
    made ??= make();
    const guest = await made;
    try {
      const result = await act(guest, access ? { access } : {});
      return result.ok ? result : { ok: false as const, exit: exitOf(result) };
    } catch (error) {
      if (!(error instanceof KernelError) || error.request !== 'KVM_RUN') throw error;
      return { ok: false as const, exit: { reason: 'failed', errno: error.errno } as const };
    }
  };
  return {
    read: (gpa, length, access) => touch((guest, options) => guest.read(gpa, length, options), access),
    write: (gpa, bytes, access) => touch((guest, options) => guest.write(gpa, bytes, options), access),
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
