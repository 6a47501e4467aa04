/**
 * A guest_memfd that the host may touch, with another byte on each page: what a call that must do nothing, or only one
 * thing, is looked for afterwards. It needs `PATTERN`.
 */

import { PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Mapping, Vm } from '../kvm/index.ts';
import type { T } from './context.ts';
import type { Requires } from './requires.ts';

export const PATTERN: Requires = { flags: ['init-shared'] };

export interface PatternOptions {
  /** Default: 4. */
  readonly pages?: number;
  /** Default: one of its own. */
  readonly vm?: Vm;
  /** Whether every page is written. Default: true. */
  readonly written?: boolean;
}

export class PatternFile {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
  readonly pages: number;
  readonly #t: T;
  /** The byte that fills each page. */
  readonly #bytes: number[];

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, mapping: Mapping, pages: number) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
    this.pages = pages;
    this.#bytes = new Array<number>(pages).fill(0);
  }

  static async create(t: T, { pages = 4, vm, written = true }: PatternOptions = {}): Promise<PatternFile> {
    const own = vm ?? (await t.vm());
    const gmem = await t.gmem(own, { size: pages * PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const file = new PatternFile(t, own, gmem, mapping, pages);
    if (written) for (let page = 0; page < pages; page += 1) await file.write(page, 0x11 * (page + 1));
    return file;
  }

  get size(): number {
    return this.pages * PAGE_SIZE;
  }

  /** The byte that must be on a page now. */
  byte(page: number): number {
    return this.#bytes[page]!;
  }

  /** Fills a page through the mapping. */
  async write(page: number, byte: number): Promise<void> {
    await this.mapping.fill(page * PAGE_SIZE, PAGE_SIZE, byte);
    this.#bytes[page] = byte;
  }

  /** Something else than the mapping has put this byte on these pages. */
  becomes(byte: number, ...pages: readonly number[]): void {
    for (const page of pages) this.#bytes[page] = byte;
  }

  /** A page as it must read now. */
  page(page: number): Uint8Array {
    return new Uint8Array(PAGE_SIZE).fill(this.byte(page));
  }

  /** All of the file as it must read now. */
  get contents(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    for (const [page, byte] of this.#bytes.entries()) bytes.fill(byte, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    return bytes;
  }

  /** The host reads what must be there, on every page, and the file is as long as ever. */
  async isIntact(what: string): Promise<void> {
    const found = this.#t.succeeds(await this.mapping.tryRead(0, this.size), `${what}: reading the whole file`);
    this.#t.equal(found, this.contents, `${what}: what is in the file`);
    const { size } = await this.gmem.stat();
    this.#t.equal(size, BigInt(this.size), `${what}: st_size`);
  }
}
