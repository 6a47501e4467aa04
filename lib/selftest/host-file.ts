/**
 * A guest_memfd as the host alone sees it: which pages it may touch, and what is on them. No slot and no guest are
 * needed, so these cases run on any kernel that converts.
 */

import { PAGE_SIZE } from '../abi/index.ts';
import type { GuestMemfd, Mapping, Vm, VmType } from '../kvm/index.ts';
import type { T } from './context.ts';
import type { State } from './conversion.ts';

/** Another byte for each page. */
const mark = (page: number): number => 0x10 + page;

/** VM types on which a conversion leaves the contents alone. */
const PLAIN: readonly VmType[] = ['default', 'sw-protected'];

export class HostFile {
  readonly vm: Vm;
  readonly gmem: GuestMemfd;
  readonly mapping: Mapping;
  readonly pages: number;
  readonly #t: T;
  /** Pages on which the host's mark must still be. */
  readonly #marked = new Set<number>();

  private constructor(t: T, vm: Vm, gmem: GuestMemfd, mapping: Mapping, pages: number) {
    this.#t = t;
    this.vm = vm;
    this.gmem = gmem;
    this.mapping = mapping;
    this.pages = pages;
  }

  /** A mapped file, a letter for each page: S shared, P private. Each page was written by the host before. */
  static async create(t: T, layout: string, type: VmType | 'private' = 'private'): Promise<HostFile> {
    const pages = layout.length;
    const vm = await t.vm(type);
    const gmem = await t.gmem(vm, { size: pages * PAGE_SIZE, mmap: true, initially: 'shared' });
    const mapping = await gmem.map();
    t.defer(() => mapping.close());
    const file = new HostFile(t, vm, gmem, mapping, pages);
    for (let page = 0; page < pages; page += 1) await file.#mark(page);
    for (let page = 0; page < pages; page += 1) {
      if (layout[page] === 'P') await file.convert('private', page, 1);
    }
    t.host.mock?.journal.clear();
    return file;
  }

  get size(): bigint {
    return BigInt(this.pages * PAGE_SIZE);
  }

  async #mark(page: number): Promise<void> {
    await this.mapping.write(page * PAGE_SIZE, new Uint8Array(PAGE_SIZE).fill(mark(page)));
    this.#marked.add(page);
  }

  /** Converts pages through the typed API, which must succeed. */
  async convert(to: State, first = 0, count = this.pages - first): Promise<void> {
    const range = { offset: first * PAGE_SIZE, size: count * PAGE_SIZE, to };
    const retry = { attempts: 100, delayMs: 1 };
    this.#t.succeeds(await this.gmem.tryConvert(range, { retry }), `converting pages ${first}+${count} to ${to}`);
  }

  /** Every page is as the letter says, and what the host wrote is still on those it may read. */
  async is(layout: string, what: string): Promise<void> {
    let found = '';
    for (let page = 0; page < this.pages; page += 1) found += (await this.#isShared(page)) ? 'S' : 'P';
    this.#t.equal(found, layout, `${what}: the pages' states`);
    for (const page of this.#marked) await this.#checkMark(page, layout[page]!, what);
  }

  async #isShared(page: number): Promise<boolean> {
    const attempt = await this.mapping.tryRead(page * PAGE_SIZE, 1);
    if (!attempt.ok) this.#t.fails(attempt, 'EFAULT', `host reads private page ${page}`);
    return attempt.ok;
  }

  async #checkMark(page: number, letter: string, what: string): Promise<void> {
    if (letter === 'P') {
      if (!PLAIN.includes(this.vm.type)) this.#marked.delete(page);
      return;
    }
    const bytes = await this.mapping.read(page * PAGE_SIZE, PAGE_SIZE);
    this.#t.equal(bytes, new Uint8Array(PAGE_SIZE).fill(mark(page)), `${what}: what is on page ${page}`);
  }

  /** The contents of these pages are gone; they read 0 from now on, and are not looked at again. */
  forget(...pages: readonly number[]): void {
    for (const page of pages) this.#marked.delete(page);
  }
}
