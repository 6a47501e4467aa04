/** A guest that touches memory. A case sees the same guest whether the mock plays it or a vCPU runs it. */

import { KernelError } from '../host/index.ts';
import type { GuestStopped, Guest as VcpuGuest, Vm } from '../kvm/index.ts';
import type { Access, GuestExit, GuestRead, GuestWrite, MockGuest } from '../mock/index.ts';

export interface Guest {
  /**
   * Reads at a guest-physical address; an access the guest cannot make answers the exit it causes.
   * `access` is for guests that say themselves what they take a page for (SEV-SNP, TDX); others have no such bit.
   */
  read(gpa: bigint, length: number, access?: Access): Promise<GuestRead>;
  /** Writes at a guest-physical address; as read. */
  write(gpa: bigint, bytes: Uint8Array, access?: Access): Promise<GuestWrite>;
}

/** The mock's own guest, which needs no vCPU. */
export function playedGuest(guest: MockGuest): Guest {
  return {
    read: async (gpa, length, access) => guest.read(gpa, length, access ? { access } : {}),
    write: async (gpa, bytes, access) => guest.write(gpa, bytes, access ? { access } : {}),
  };
}

/** A guest on a vCPU, which is put into the VM at its first access. */
export function runningGuest(vm: Vm, defer: (step: () => unknown) => void): Guest {
  let made: Promise<VcpuGuest> | undefined;
  const make = async (): Promise<VcpuGuest> => {
    const guest = await vm.createGuest();
    defer(() => guest.close());
    return guest;
  };
  const access = async <R extends { readonly ok: true }>(act: (guest: VcpuGuest) => Promise<R | GuestStopped>) => {
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
    read: (gpa, length) => access((guest) => guest.read(gpa, length)),
    write: (gpa, bytes) => access((guest) => guest.write(gpa, bytes)),
  };
}

/** The exits that cases know; a guest that stops for anything else has gone wrong. */
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
