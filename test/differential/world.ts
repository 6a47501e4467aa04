/**
 * What exists, as far as both kernels agreed so far: names for their fds, mappings and memslots. It is no third kernel:
 * it only leads generated calls to where something is, and away from where the process itself would come to harm.
 */

import type { Dialect } from '../../lib/abi/ioctl.ts';
import { KVM_MEM_GUEST_MEMFD } from '../../lib/abi/kvm.ts';
import { PAGE_SIZE } from '../../lib/abi/linux.ts';
import { IommuWorld } from './iommu/world.ts';
import type { Fd, FileObject, Mapping, Pin, Place, Slot, Vm } from './things.ts';

export type * from './things.ts';

/** What the kernel under test can do, for commands that must know. */
export interface Facts {
  readonly dialect: Dialect;
  readonly vmTypes: readonly number[];
  /** Guest code runs. */
  readonly guest: boolean;
  /** Pages can be pinned. */
  readonly pins: boolean;
  /** iommufd, with its test driver. */
  readonly iommufdTest: boolean;
  /** VFIO has the device that calls are made about. */
  readonly vfioDevice: boolean;
}

export const FDS = 8;
export const MAPPINGS = 6;
export const PINS = 3;

const PAGE = BigInt(PAGE_SIZE);
/** vm.mmap_min_addr: nobody maps anything below. */
export const NEVER_MAPPED = 0x1_0000n;
const MMAP = 1n;

export class World {
  readonly facts: Facts;
  readonly fds: (Fd | undefined)[] = new Array(FDS).fill(undefined);
  readonly mappings: (Mapping | undefined)[] = new Array(MAPPINGS).fill(undefined);
  readonly pins: (Pin | undefined)[] = new Array(PINS).fill(undefined);
  readonly vms: Vm[] = [];
  readonly iommu = new IommuWorld();
  #names = new Map<string, number>();

  constructor(facts: Facts) {
    this.facts = facts;
  }

  /** gmem0, gmem1, ... */
  name(kind: string): string {
    const count = this.#names.get(kind) ?? 0;
    this.#names.set(kind, count + 1);
    return `${kind}${count}`;
  }

  /** The first there is, from the nth place on. */
  fd(nth: number, ...kinds: readonly FileObject['kind'][]): Fd | undefined {
    return from(this.fds, nth, (fd) => kinds.length === 0 || kinds.includes(fd.of.kind));
  }

  mapping(nth: number): Mapping | undefined {
    return from(this.mappings, nth, () => true);
  }

  pin(nth: number): Pin | undefined {
    return from(this.pins, nth, () => true);
  }

  /** Whether a guest access to these pages stays in memory that is this test's own. */
  isSafe(vm: Vm, gpa: bigint, length: bigint): boolean {
    const last = (gpa + (length > 0n ? length - 1n : 0n)) / PAGE;
    for (let page = gpa / PAGE; page <= last; page++) {
      for (const slot of vm.slots.values()) if (!this.#isSafeIn(slot, page * PAGE)) return false;
    }
    return true;
  }

  #isSafeIn(slot: Slot, gpa: bigint): boolean {
    if (gpa < slot.gpa || gpa >= slot.gpa + BigInt(slot.pages) * PAGE) return true;
    if (slot.gmem && (slot.gmem.flags & MMAP || this.facts.dialect === 'attributes2')) return true;
    return isOwn(slot.memory, gpa - slot.gpa);
  }
}

/** A page of a slot's memory, by its offset in the slot: in a live mapping, or nowhere. */
function isOwn({ mapping, offset }: Place, at: bigint): boolean {
  const start = offset + at;
  if (!mapping) return start + PAGE <= NEVER_MAPPED;
  return mapping.live && start >= 0n && start + PAGE <= BigInt(mapping.pages) * PAGE;
}

function from<T>(places: readonly (T | undefined)[], nth: number, fits: (thing: T) => boolean): T | undefined {
  for (let i = 0; i < places.length; i++) {
    const thing = places[(nth + i) % places.length];
    if (thing !== undefined && fits(thing)) return thing;
  }
  return undefined;
}

export const isGmemSlot = (flags: number): boolean => (flags & KVM_MEM_GUEST_MEMFD) !== 0;
