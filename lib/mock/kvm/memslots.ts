/** A VM's memslots. */

import type { GuestMemfdInode } from '../guest-memfd/index.ts';
import { RangeIndex } from '../range-index.ts';
import { intersect, type PageRange, toPages } from '../ranges.ts';

export interface Memslot {
  /** "vm 1 slot 0", for the journal. */
  readonly title: string;
  readonly addressSpace: number;
  readonly id: number;
  readonly baseGfn: number;
  readonly pages: number;
  readonly flags: number;
  readonly userspaceAddr: bigint;
  gmem: Backing | undefined;
}

/** A guest_memfd, as far as its slots need it. */
export interface BackingFile {
  readonly inode: GuestMemfdInode;
  unbind(slot: Memslot): void;
}

export interface Backing {
  /** Cleared when the last fd of the file closes, which leaves the slot unbacked. */
  file: BackingFile | undefined;
  readonly firstPage: number;
  /** KVM_MEMSLOT_GMEM_ONLY: shared memory comes from the file too, and never from userspace_addr. */
  readonly only: boolean;
}

export const gfnRange = (slot: Memslot): PageRange => ({ start: slot.baseGfn, end: slot.baseGfn + slot.pages });

/** The part of a slot's guest-physical range that a range of its file backs. */
export function fileRangeToGfns(slot: Memslot, range: PageRange): PageRange | undefined {
  if (!slot.gmem) return undefined;
  const first = slot.gmem.firstPage;
  const part = intersect(range, { start: first, end: first + slot.pages });
  return part && { start: slot.baseGfn + part.start - first, end: slot.baseGfn + part.end - first };
}

/** The host's pages that back a slot, where it has a userspace_addr. */
export function hostRange({ userspaceAddr, pages }: Memslot): PageRange {
  const start = toPages(userspaceAddr);
  return { start, end: start + pages };
}

export class Memslots {
  readonly #slots = new Map<number, Memslot>();
  /** By address space, where its slots lie in guest-physical memory. */
  readonly #byGfn = new Map<number, RangeIndex<Memslot>>();
  readonly #byHostPage = new RangeIndex<Memslot>();
  #generation = 0;

  /** Another with each change of address space 0, where vCPUs run outside system management mode. */
  get generation(): number {
    return this.#generation;
  }

  #key(addressSpace: number, id: number): number {
    return addressSpace * 0x10000 + id;
  }

  get(addressSpace: number, id: number): Memslot | undefined {
    return this.#slots.get(this.#key(addressSpace, id));
  }

  #gfnsOf(addressSpace: number): RangeIndex<Memslot> {
    const index = this.#byGfn.get(addressSpace) ?? new RangeIndex<Memslot>();
    this.#byGfn.set(addressSpace, index);
    return index;
  }

  put(slot: Memslot): void {
    const old = this.get(slot.addressSpace, slot.id);
    if (old) this.delete(old);
    if (slot.addressSpace === 0) this.#generation++;
    this.#slots.set(this.#key(slot.addressSpace, slot.id), slot);
    this.#gfnsOf(slot.addressSpace).add(gfnRange(slot), slot);
    if (slot.userspaceAddr !== 0n) this.#byHostPage.add(hostRange(slot), slot);
  }

  delete(slot: Memslot): void {
    if (slot.addressSpace === 0) this.#generation++;
    this.#slots.delete(this.#key(slot.addressSpace, slot.id));
    this.#gfnsOf(slot.addressSpace).delete(slot);
    this.#byHostPage.delete(slot);
  }

  all(): Memslot[] {
    return [...this.#slots.values()];
  }

  /** Another slot of the same address space that shares guest-physical pages with this range. */
  overlapping(addressSpace: number, id: number, range: PageRange): Memslot | undefined {
    return this.#gfnsOf(addressSpace)
      .within(range.start, range.end)
      .find((slot) => slot.id !== id);
  }

  /** The slot that holds a guest page in address space 0, where vCPUs run outside system management mode. */
  find(gfn: number): Memslot | undefined {
    return this.#gfnsOf(0).within(gfn, gfn + 1)[0];
  }

  /** The slots that these pages of the process back. */
  backedBy({ start, end }: PageRange): Memslot[] {
    return this.#byHostPage.within(start, end);
  }
}
