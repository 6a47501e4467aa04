/** The fixture of cases about memslots: one file, of which several slots show parts. */

import { PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Mapping, Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import { GUEST_START, type State } from './scenario.ts';

const bytes = (pages: number): number => pages * PAGE_SIZE;

export interface Slot {
  readonly slot: number;
  /** The first page of the file that it shows, and how many. */
  readonly first: number;
  readonly count: number;
  /** Where it stands, in guest pages above GUEST_START. */
  readonly at: number;
}

/** A file of pages that the host has marked with their number plus 1, shown in slots. */
export class SlottedFile {
  readonly #t: T;
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, mapping: Mapping) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
  }

  static async create(t: T, pages: number, slots: readonly Slot[], userspace = true): Promise<SlottedFile> {
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size: bytes(pages), mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const made = new SlottedFile(t, vm, gmem, mapping);
    for (let page = 0; page < pages; page += 1) await mapping.write(bytes(page), Uint8Array.of(page + 1));
    for (const slot of slots) await made.add(slot, userspace ? mapping.address + BigInt(bytes(slot.first)) : 0n);
    return made;
  }

  async add({ slot, first, count, at }: Slot, userspaceAddr: bigint): Promise<void> {
    const guestPhysAddr = this.gpa(at);
    const { vm, gmem } = this;
    await vm.setMemoryRegion({
      slot,
      guestPhysAddr,
      size: bytes(count),
      gmem,
      gmemOffset: bytes(first),
      userspaceAddr,
    });
  }

  async convert(first: number, count: number, to: State): Promise<void> {
    const outcome = await this.gmem.tryConvert({ offset: bytes(first), size: bytes(count), to });
    this.#t.succeeds(outcome, `converting pages ${first}+${count} to ${to}`);
  }

  /** Which pages the host may touch, as letters. */
  async layout(): Promise<string> {
    let found = '';
    for (let page = 0; page < Number(this.gmem.size) / PAGE_SIZE; page += 1) {
      found += (await this.mapping.tryRead(bytes(page), 1)).ok ? 'S' : 'P';
    }
    return found;
  }

  /** The address of a guest page above GUEST_START. */
  gpa(at: number): bigint {
    return GUEST_START + BigInt(bytes(at));
  }

  /** The guest finds this byte at a guest page, and stores another. */
  async guestUses(at: number, expected: number, stores = expected): Promise<void> {
    const guest = this.#t.guest(this.vm);
    const gpa = this.gpa(at);
    const read = await guest.read(gpa, 1);
    this.#t.equal(read, { ok: true, bytes: Uint8Array.of(expected) }, `guest reads its page ${at}`);
    this.#t.equal((await guest.write(gpa, Uint8Array.of(stores))).ok, true, `guest writes its page ${at}`);
  }

  async guestHasNothing(at: number): Promise<void> {
    const gpa = this.gpa(at);
    const exit = { ok: false, exit: { reason: 'mmio', gpa, write: false } };
    this.#t.equal<unknown>(await this.#t.guest(this.vm).read(gpa, 1), exit, `guest reads its page ${at}`);
  }
}
