/** The slots of a VM: what they hold, what the kernel is told of it, and what is undone when one goes. */

import type { KVM_SET_USER_MEMORY_REGION2 } from '../abi/kvm.ts';
import { GuestMemfd, Mapping } from '../guest-memfd/index.ts';
import type { OwnedFd, RawArg } from '../host/index.ts';
import type { CheckedRegion } from './memory-region.ts';

/** The kernel's arguments; KVM_SET_USER_MEMORY_REGION takes the same without the guest_memfd. */
export type RegionArgs = RawArg<typeof KVM_SET_USER_MEMORY_REGION2>;

export interface SlotState {
  /** False once the slot was deleted, or set anew. */
  current: boolean;
}

interface HeldSlot extends SlotState {
  unbind(): void;
}

export class Slots {
  readonly #vm: OwnedFd;
  readonly #slots = new Map<number, HeldSlot>();

  constructor(vm: OwnedFd) {
    this.#vm = vm;
  }

  remember({ id, gmem, gmemOffset: offset, guestPhysAddr, size }: CheckedRegion): SlotState {
    this.forget(id);
    // Not the GuestMemfd itself: the VM must not keep a forgotten one from being reported as a leak.
    const binding = { vm: this.#vm, offset, size, guestPhysAddr };
    const unbind = gmem && GuestMemfd.internals(gmem).bindings.add(binding);
    const slot = { current: true, unbind: () => unbind?.() };
    this.#slots.set(id, slot);
    return slot;
  }

  forget(id: number): void {
    const slot = this.#slots.get(id);
    if (!slot) return;
    slot.current = false;
    slot.unbind();
    this.#slots.delete(id);
  }
}

/** Hands `work` the kernel's arguments, and keeps what they refer to open for as long as it runs. */
export function withRegionArgs<T>(region: CheckedRegion, work: (args: RegionArgs) => Promise<T>): Promise<T> {
  const { id, flags, guestPhysAddr, size, gmem, gmemOffset, userspaceAddr } = region;
  const args = { slot: id, flags, guest_phys_addr: guestPhysAddr, memory_size: size };
  const placed = (more: object) =>
    userspaceAddr instanceof Mapping
      ? Mapping.use(userspaceAddr, (address) => work({ ...args, ...more, userspace_addr: address }))
      : work({ ...args, ...more, userspace_addr: userspaceAddr });
  if (!gmem) return placed({});
  const { handle } = GuestMemfd.internals(gmem);
  return handle.use(() => placed({ guest_memfd: handle.number, guest_memfd_offset: gmemOffset }));
}
