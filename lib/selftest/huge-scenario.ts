/**
 * Huge pages, looked at page by page: one guest_memfd of a few huge pages, mapped by the host and placed in the guest,
 * and what both find on single pages of it. Pages are those of 4 KiB.
 */

import { type HugePageSize, PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Mapping, Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import { bytesOf, pagesOf } from './huge-size.ts';
import type { Requires } from './requires.ts';
import { GUEST_START, type State } from './scenario.ts';

export interface HugeOptions {
  readonly hugePageSize: HugePageSize;
  /** How many huge pages. Default: 1. */
  readonly count?: number;
  readonly initially: State;
}

/** What every case with it needs; contents survive conversions on these VMs alone. */
export const SOFTWARE: Requires = { dialect: ['rfc-convert'], vmType: 'sw-protected' };

const SLOT = 10;
const RETRY = { attempts: 100, delayMs: 1 };

export class HugeScenario {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
  /** Pages in a huge page. */
  readonly pages: number;
  readonly #t: T;

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, mapping: Mapping, pages: number) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
    this.pages = pages;
  }

  static async create(t: T, { hugePageSize, count = 1, initially }: HugeOptions): Promise<HugeScenario> {
    const size = count * bytesOf(hugePageSize);
    const vm = await t.vm();
    const gmem = await t.gmem(vm, { size, mmap: true, initially, hugePageSize });
    const mapping = await t.map(gmem);
    await vm.setMemoryRegion({ slot: SLOT, guestPhysAddr: GUEST_START, size, gmem, userspaceAddr: mapping });
    return new HugeScenario(t, vm, gmem, mapping, pagesOf(hugePageSize));
  }

  gpa(page: number): bigint {
    return GUEST_START + BigInt(page) * BigInt(PAGE_SIZE);
  }

  async guestFinds(page: number, byte: number): Promise<void> {
    const read = await this.#t.guest(this.vm).read(this.gpa(page), 1);
    this.#t.equal(read, { ok: true, bytes: Uint8Array.of(byte) }, `what the guest finds on page ${page}`);
  }

  async guestWrites(page: number, byte: number): Promise<void> {
    const written = await this.#t.guest(this.vm).write(this.gpa(page), Uint8Array.of(byte));
    this.#t.equal(written, { ok: true }, `the guest writes page ${page}`);
  }

  async hostFinds(page: number, byte: number): Promise<void> {
    const read = this.#t.succeeds(await this.mapping.tryRead(page * PAGE_SIZE, 1), `the host reads page ${page}`);
    this.#t.equal(read, Uint8Array.of(byte), `what the host finds on page ${page}`);
  }

  async hostWrites(page: number, byte: number): Promise<void> {
    const outcome = await this.mapping.tryWrite(page * PAGE_SIZE, Uint8Array.of(byte));
    this.#t.succeeds(outcome, `the host writes page ${page}`);
  }

  async hostIsRefused(page: number): Promise<void> {
    const at = page * PAGE_SIZE;
    this.#t.fails(await this.mapping.tryRead(at, 1), 'EFAULT', `the host reads private page ${page}`);
    this.#t.fails(
      await this.mapping.tryWrite(at, Uint8Array.of(0xee)),
      'EFAULT',
      `the host writes private page ${page}`,
    );
  }

  async convert(first: number, count: number, to: State): Promise<void> {
    const range = { offset: first * PAGE_SIZE, size: count * PAGE_SIZE, to };
    this.#t.succeeds(
      await this.gmem.tryConvert(range, { retry: RETRY }),
      `converting pages ${first}+${count} to ${to}`,
    );
  }

  async punch(first: number, count: number): Promise<void> {
    const range = { offset: first * PAGE_SIZE, size: count * PAGE_SIZE };
    this.#t.succeeds(await this.gmem.tryPunchHole(range), `punching pages ${first}+${count}`);
  }

  /** 512-byte blocks, as huge pages. */
  async allocated(): Promise<number> {
    return Number((await this.gmem.stat()).blocks) / ((this.pages * PAGE_SIZE) / 512);
  }
}
