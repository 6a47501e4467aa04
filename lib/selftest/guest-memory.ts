/**
 * The fixture of cases that run in place and with a second backing alike: guest memory in slots, and what host and
 * guest find in it. In place, host and guest share the guest_memfd's own pages. With attributes of the VM, the host has
 * ordinary memory, which the guest sees where it is shared; the guest_memfd is for private memory alone.
 */

import { errno, PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Vm } from '../kvm/index.ts';
import { anonymous } from './bare.ts';
import type { T } from './context.ts';
import { GUEST_START, type State } from './scenario.ts';

/** As private_mem_conversions_test has it: a huge page and a page more. */
export const DATA_SIZE = 0x20_1000;

export interface GuestMemoryOptions {
  /** Default: what the dialect converts, in place or between two backings. */
  readonly backing?: 'in-place' | 'dual';
  /** Bytes. Default: DATA_SIZE. */
  readonly size?: number;
}

export class GuestMemory {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  /** Where the host has its view of the memory. */
  readonly address: bigint;
  readonly size: number;
  readonly #t: T;

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, address: bigint) {
    this.size = Number(gmem.size);
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.address = address;
  }

  /** All of it shared, in this many slots side by side. */
  static async create(t: T, slots: number, options: GuestMemoryOptions = {}): Promise<GuestMemory> {
    const { size = DATA_SIZE, backing = t.features.dialect === 'vm-attributes' ? 'dual' : 'in-place' } = options;
    const vm = await t.vm();
    const inPlace = backing === 'in-place';
    const gmem = await t.gmem(vm, inPlace ? { size, mmap: true, initially: 'shared' } : { size });
    const address = inPlace ? (await t.map(gmem)).address : await anonymous(t, size);
    const memory = new GuestMemory(t, vm, gmem, address);
    await memory.bind(slots);
    return memory;
  }

  /** Shows the memory to the guest, in this many slots side by side. */
  async bind(slots = 1): Promise<void> {
    const pages = this.size / PAGE_SIZE;
    for (let slot = 0; slot < slots; slot += 1) {
      const first = Math.floor((slot * pages) / slots) * PAGE_SIZE;
      const end = Math.floor(((slot + 1) * pages) / slots) * PAGE_SIZE;
      await this.vm.setMemoryRegion({
        slot,
        guestPhysAddr: GUEST_START + BigInt(first),
        size: end - first,
        gmem: this.gmem,
        gmemOffset: first,
        userspaceAddr: this.address + BigInt(first),
      });
    }
  }

  async convert(offset: number, size: number, to: State): Promise<void> {
    const outcome = await this.gmem.tryConvert({ offset, size, to }, { retry: { attempts: 100, delayMs: 1 } });
    this.#t.succeeds(outcome, `converting ${place(offset, size)} to ${to}`);
  }

  async punch(offset: number, size: number): Promise<void> {
    this.#t.succeeds(await this.gmem.tryPunchHole({ offset, size }), `punching ${place(offset, size)}`);
  }

  async guestWrites(offset: number, size: number, byte: number): Promise<void> {
    const bytes = new Uint8Array(size).fill(byte);
    const outcome = await this.#t.guest(this.vm).write(GUEST_START + BigInt(offset), bytes);
    this.#t.equal(outcome, { ok: true }, `the guest writes ${place(offset, size)}`);
  }

  /** Pages of a function's bytes are counted from the beginning of the range. An empty range holds anything. */
  async guestFinds(offset: number, size: number, byte: number | ((page: number) => number)): Promise<void> {
    if (size === 0) return;
    const read = await this.#t.guest(this.vm).read(GUEST_START + BigInt(offset), size);
    this.#t.ok(read.ok, `the guest reads ${place(offset, size)}`);
    if (read.ok) this.#holds(read.bytes, byte, `what the guest finds in ${place(offset, size)}`);
  }

  async hostWrites(offset: number, size: number, byte: number): Promise<void> {
    const copied = await this.#copyIn(offset, new Uint8Array(size).fill(byte));
    this.#t.equal(copied, size, `bytes the host writes to ${place(offset, size)}`);
  }

  /** An empty range holds anything. */
  async hostFinds(offset: number, size: number, byte: number): Promise<void> {
    if (size === 0) return;
    const bytes = new Uint8Array(size);
    const copied = await this.#copyOut(offset, bytes);
    this.#t.equal(copied, size, `bytes the host reads from ${place(offset, size)}`);
    this.#holds(bytes, byte, `what the host finds in ${place(offset, size)}`);
  }

  /** In place every page is refused; with memory of its own the host finds what was there when it was shared. */
  async hostFindsPrivate(offset: number, size: number, before: number): Promise<void> {
    if (this.#t.features.dialect === 'vm-attributes') return this.hostFinds(offset, size, before);
    const answers = await Promise.all(
      Array.from({ length: size / PAGE_SIZE }, (_, page) => this.#touches(offset + page * PAGE_SIZE)),
    );
    const refused = answers.filter(([read, written]) => read === -errno.EFAULT && written === -errno.EFAULT).length;
    this.#t.equal(refused, size / PAGE_SIZE, `pages of ${place(offset, size)} that the host is refused`);
  }

  #touches(offset: number): Promise<[read: number, written: number]> {
    return Promise.all([this.#copyOut(offset, new Uint8Array(1)), this.#copyIn(offset, Uint8Array.of(0xee))]);
  }

  #copyIn(offset: number, bytes: Uint8Array): Promise<number> {
    return this.#t.host.raw.syscalls.copyIn(this.address + BigInt(offset), bytes);
  }

  #copyOut(offset: number, bytes: Uint8Array): Promise<number> {
    return this.#t.host.raw.syscalls.copyOut(this.address + BigInt(offset), bytes);
  }

  #holds(bytes: Uint8Array, byte: number | ((page: number) => number), what: string): void {
    const wanted = new Uint8Array(bytes.length);
    if (typeof byte === 'number') wanted.fill(byte);
    else for (let at = 0; at < wanted.length; at += PAGE_SIZE) wanted.fill(byte(at / PAGE_SIZE), at, at + PAGE_SIZE);
    this.#t.equal(bytes, wanted, what);
  }
}

const place = (offset: number, size: number): string => `0x${offset.toString(16)}+0x${size.toString(16)}`;
