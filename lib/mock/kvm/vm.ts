/** A VM: its memslots, its second-level page table and, where it has them, its own memory attributes. */

import { errno } from '../../abi/errno.ts';
import { RangeMap } from '../../ranges/index.ts';
import type { Reason } from '../journal.ts';
import { type GuestHardware, type HostVm, hasPrivateMemory } from '../platform/index.ts';
import type { MmuNotifier } from '../process/index.ts';
import { intersect, type PageRange, toPages } from '../ranges.ts';
import { hostVm } from './host-vm.ts';
import type { Machine } from './machine.ts';
import { gfnRange, hostRange, type Memslot, Memslots } from './memslots.ts';
import { MmioEntries } from './mmio-entries.ts';
import { Stage2, type Translation } from './stage2.ts';

export class Vm {
  readonly machine: Machine;
  readonly type: number;
  readonly number: number;
  readonly slots = new Memslots();
  readonly stage2 = new Stage2();
  readonly mmio = new MmioEntries();
  /** KVM_MEMORY_ATTRIBUTE_* by guest page, as KVM_SET_MEMORY_ATTRIBUTES stores them. */
  readonly attributes = new RangeMap<bigint>(0n);
  /** Taken for as long as the VM lives. */
  readonly vcpuIds = new Set<number>();
  /** It has the device that tells it of VFIO files. */
  hasVfioDevice = false;
  /** KVM_CAP_SPLIT_IRQCHIP was enabled. */
  hasSplitIrqchip = false;
  /** How the hardware sees the VM, and what it keeps of it. */
  readonly host: HostVm;
  readonly hardware: GuestHardware;
  /** KVM_CAP_EXIT_HYPERCALL was enabled for KVM_HC_MAP_GPA_RANGE. */
  exitsOnMapGpaRange = false;
  #dead = false;
  /** The VM's own fd and every guest_memfd of it. */
  #references = 0;

  constructor(machine: Machine, type: number) {
    this.machine = machine;
    this.type = type;
    this.number = machine.nextNumber();
    machine.vms.add(this);
    this.host = hostVm(this);
    this.hardware = machine.platform.createGuest(this.host);
    machine.addressSpace.notifiers.add(this.#onHostUnmap);
  }

  get hasPrivateMemory(): boolean {
    return hasPrivateMemory(this.type);
  }

  /** KVM_BUG_ON(): every later ioctl on the VM answers EIO. */
  kill(): void {
    this.#dead = true;
  }

  get dead(): boolean {
    return this.#dead;
  }

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    if (--this.#references > 0) return;
    this.machine.addressSpace.notifiers.delete(this.#onHostUnmap);
    for (const slot of this.slots.all()) this.removeSlot(slot);
    this.hardware.destroy();
    this.machine.vms.delete(this);
  }

  /** Drops translations of a guest range and says so. */
  zap(slot: Memslot, range: PageRange, reason: Reason, matches: (translation: Translation) => boolean): Translation[] {
    const gone = this.stage2.zap(range, matches);
    const detail = gone.length === 0 ? 'no translations' : `${gone.length} translations`;
    this.machine.journal.record('unmap-stage2', slot.title, range.start, range.end, reason, detail);
    return gone;
  }

  /** Drops translations of a guest range that KVM itself takes away; on TDX private pages lose their contents by it. */
  unmap(range: PageRange): void {
    this.unmapped(this.stage2.zap(range));
  }

  /** Tells the hardware of private translations that are gone. */
  unmapped(translations: readonly Translation[]): void {
    for (const { private: isPrivate, gfns } of translations) {
      for (let gfn = gfns.start; isPrivate && this.hardware.unmapPrivate && gfn < gfns.end; gfn++) {
        this.hardware.unmapPrivate(gfn);
      }
    }
  }

  removeSlot(slot: Memslot): void {
    this.unmap(gfnRange(slot));
    slot.gmem?.file?.unbind(slot);
    this.slots.delete(slot);
  }

  /** KVM's MMU notifier: host page-table entries go, and with them what the guest reaches through them. */
  readonly #onHostUnmap: MmuNotifier = (address, length) => {
    const start = toPages(address);
    const gone = { start, end: start + toPages(length) };
    for (const slot of this.slots.backedBy(gone)) {
      const host = hostRange(slot);
      const part = intersect(host, gone)!;
      const ahead = slot.baseGfn - host.start;
      const range = { start: part.start + ahead, end: part.end + ahead };
      this.stage2.zap(range, (translation) => !translation.private);
    }
  };

  /** The answer of every ioctl on a dead VM. */
  get refusal(): number {
    return this.#dead ? -errno.EIO : 0;
  }
}
