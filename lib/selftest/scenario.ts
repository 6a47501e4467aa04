/**
 * The fixture of the kernel's guest_memfd_conversions_test: one guest_memfd, mapped by the host and placed in the
 * guest, and sentences about it: who finds which byte on which page, and what it stores there.
 *
 * In a case that is told with huge pages (`requires.hugePageSize`) each page is one of them.
 *
 * Every page is looked at through its first byte. On SEV-SNP and TDX nothing is promised of what a page holds when it
 * becomes private or shared, so there such a byte is not compared; the accesses themselves are checked all the same.
 */

import { PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Mapping, Vm, VmType } from '../kvm/index.ts';
import type { Pin } from '../mock/index.ts';
import type { T } from './context.ts';
import type { Guest } from './guest.ts';
import { bytesOf } from './huge-size.ts';

export type State = 'shared' | 'private';
/** A byte to find; 'any' where nothing is known about it. */
export type Expected = number | 'any';

export interface ScenarioOptions {
  readonly pages: number;
  readonly initially?: State;
  /** Default: whichever type with private memory the host has. */
  readonly type?: VmType | 'private';
  /** So many memslots have equal parts of it, one behind the other. Default: 1. */
  readonly slots?: number;
}

const SLOT = 10;
/** Where guest memory begins, in cases that place some: the kernel's conversions test has it there. */
export const GUEST_START = 0x1_0000_0000n;
/** A vCPU, or another reader of the page, may hold a page for a moment on a real kernel. */
const RETRY = { attempts: 100, delayMs: 1 };

export class Scenario {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
  readonly pages: number;
  /** Bytes of a page. */
  readonly pageSize: number;
  readonly #t: T;
  readonly #states: State[];
  /** Pages of which nobody can say what they hold. */
  readonly #unknown = new Set<number>();

  private constructor(
    t: T,
    vm: Vm,
    gmem: GuestMemfd,
    mapping: Mapping,
    { pages, initially = 'shared' }: ScenarioOptions,
  ) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
    this.pages = pages;
    this.pageSize = pageSizeOf(t);
    this.#states = new Array<State>(pages).fill(initially);
    if (initially === 'private') this.#changed(0, pages);
  }

  /** A VM with private memory, and a guest_memfd of so many pages in it, mapped. All of it is undone with the case. */
  static async create(t: T, options: ScenarioOptions): Promise<Scenario> {
    const { pages, initially = 'shared', type = 'private', slots = 1 } = options;
    const size = pages * pageSizeOf(t);
    const vm = await t.vm(type);
    const { hugePageSize } = t;
    const gmem = await t.gmem(vm, { size, mmap: true, initially, ...(hugePageSize && { hugePageSize }) });
    const mapping = await gmem.map({ offset: 0, size });
    t.defer(() => mapping.close());
    const part = size / slots;
    for (let i = 0; i < slots; i += 1) {
      const offset = i * part;
      await vm.setMemoryRegion({
        slot: SLOT + i,
        guestPhysAddr: GUEST_START + BigInt(offset),
        size: part,
        gmem,
        gmemOffset: offset,
        userspaceAddr: mapping.address + BigInt(offset),
      });
    }
    return new Scenario(t, vm, gmem, mapping, options);
  }

  get guest(): Guest {
    return this.#t.guest(this.vm);
  }

  /** Where the guest finds a page. */
  gpa(page: number): bigint {
    return GUEST_START + BigInt(this.offset(page));
  }

  offset(page: number): number {
    return page * this.pageSize;
  }

  /** The host finds a byte on the page, and stores another. */
  async hostUses(page: number, expected: Expected, stores: number): Promise<void> {
    const t = this.#t;
    const found = t.succeeds(await this.mapping.tryRead(this.offset(page), 1), `host reads page ${page}`);
    this.#compare('host', page, found, expected);
    t.succeeds(await this.mapping.tryWrite(this.offset(page), Uint8Array.of(stores)), `host writes page ${page}`);
    this.#unknown.delete(page);
  }

  /** The host can neither read nor write the page: it would get SIGBUS. */
  async hostIsRefused(page: number): Promise<void> {
    const t = this.#t;
    t.fails(await this.mapping.tryRead(this.offset(page), 1), 'EFAULT', `host reads private page ${page}`);
    t.fails(
      await this.mapping.tryWrite(this.offset(page), Uint8Array.of(0xee)),
      'EFAULT',
      `host writes private page ${page}`,
    );
  }

  /** The guest finds a byte on the page, and stores another. It asks for the state the page is in. */
  async guestUses(page: number, expected: Expected, stores: number): Promise<void> {
    const { guest } = this;
    const access = this.hasPrivateBit ? this.#states[page] : undefined;
    const read = await guest.read(this.gpa(page), 1, access);
    if (!read.ok)
      return this.#t.fail(`guest reads page ${page}`, ['wanted its byte, got an exit', exitText(read.exit)]);
    this.#compare('guest', page, read.bytes, expected);
    const written = await guest.write(this.gpa(page), Uint8Array.of(stores), access);
    if (!written.ok) this.#t.fail(`guest writes page ${page}`, ['wanted success, got an exit', exitText(written.exit)]);
    this.#unknown.delete(page);
  }

  /** The page is shared: the host finds `start`, both write, and each finds what the other wrote. */
  async isShared(page: number, start: Expected, hostStores: number, guestStores: number): Promise<void> {
    await this.hostUses(page, start, hostStores);
    await this.guestUses(page, hostStores, guestStores);
    await this.hostUses(page, guestStores, guestStores);
  }

  /** The page is private: the host is refused before and after the guest, which finds `start` and writes. */
  async isPrivate(page: number, start: Expected, guestStores: number): Promise<void> {
    await this.hostIsRefused(page);
    await this.guestUses(page, start, guestStores);
    await this.hostIsRefused(page);
  }

  /** Converts pages (all of them by default), which must succeed. */
  async convert(to: State, first = 0, count = this.pages - first): Promise<void> {
    const range = { offset: this.offset(first), size: this.offset(count), to };
    this.#t.succeeds(
      await this.gmem.tryConvert(range, { retry: RETRY }),
      `converting pages ${first}+${count} to ${to}`,
    );
    this.#states.fill(to, first, first + count);
    this.#changed(first, count);
  }

  /** Converting pages to private is refused with EAGAIN, and names this page. */
  async convertIsBlocked(by: number, first = 0, count = this.pages - first): Promise<void> {
    const range = { offset: this.offset(first), size: this.offset(count), to: 'private' as const };
    const what = `converting pages ${first}+${count} to private while page ${by} is referenced`;
    const refusal = this.#t.fails(await this.gmem.tryConvert(range), 'EAGAIN', what);
    this.#t.equal(refusal.errorOffset, BigInt(this.offset(by)), `${what}: error_offset`);
  }

  /** Converts one page to private, and it is: the guest finds `start`. */
  async turnsPrivate(page: number, start: Expected, guestStores: number): Promise<void> {
    await this.convert('private', page, 1);
    await this.isPrivate(page, start, guestStores);
  }

  /** Converts one page to shared, and it is: the host finds `start`. */
  async turnsShared(page: number, start: Expected, hostStores: number, guestStores: number): Promise<void> {
    await this.convert('shared', page, 1);
    await this.isShared(page, start, hostStores, guestStores);
  }

  /** Drops the contents of pages, which must succeed; they read 0 at the next touch. */
  async punch(first = 0, count = this.pages - first): Promise<void> {
    await this.gmem.punchHole({ offset: this.offset(first), size: this.offset(count) });
    for (let page = first; page < first + count; page += 1) {
      if (this.#states[page] === 'shared') this.#unknown.delete(page);
      else this.#changed(page, 1);
    }
  }

  /** References on pages, until released or until the case ends; of a huge one on its first 4 KiB. */
  pin(page: number, count = 1): Pin {
    return this.#t.pin(this.gmem, this.offset(page), count * PAGE_SIZE);
  }

  /** SEV-SNP and TDX: the guest says what it takes a page for, and hardware encrypts what is private. */
  get hasPrivateBit(): boolean {
    return this.vm.type === 'snp' || this.vm.type === 'tdx';
  }

  #changed(first: number, count: number): void {
    if (!this.hasPrivateBit) return;
    for (let page = first; page < first + count; page += 1) this.#unknown.add(page);
  }

  #compare(who: string, page: number, found: Uint8Array, expected: Expected): void {
    if (expected === 'any' || this.#unknown.has(page)) return;
    this.#t.equal(found[0], expected, `the ${who} finds on page ${page}`);
  }
}

const pageSizeOf = ({ hugePageSize }: T): number => (hugePageSize ? bytesOf(hugePageSize) : PAGE_SIZE);

function exitText(exit: object): string {
  return Object.entries(exit)
    .map(([name, value]) => `${name} ${typeof value === 'bigint' ? `0x${value.toString(16)}` : value}`)
    .join(', ');
}
