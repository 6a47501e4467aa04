/** One mapping of a process and its page table. */

import { errno } from '../../abi/errno.ts';
import { MAP_SHARED, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE } from '../../abi/linux.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { type PageOwner, Windows } from '../page-windows.ts';
import type { PageRange } from '../ranges.ts';
import type { FileMapping, MockFile } from './file.ts';

interface PageTableEntry {
  readonly folio: Folio;
  readonly writable: boolean;
  /** The page is this mapping's own (anonymous, or copied on write) and not the file's. */
  readonly owned: boolean;
}

/**
 * The process itself, or the kernel looking its pages up: get_user_pages() goes by the mapping's rights, its fast variant
 * first takes what the page table has.
 */
export type Toucher = 'cpu' | 'gup' | 'fast-gup';

export interface VmaOptions {
  readonly address: bigint;
  readonly pages: number;
  readonly prot: number;
  readonly flags: number;
  readonly file: MockFile | undefined;
  /** The file's page at which the mapping begins. */
  readonly filePage: number;
  readonly memory: HostMemory;
  /** Told before entries go, as MMU notifiers are: pages relative to the mapping's start. */
  readonly onUnmap: (vma: Vma, range: PageRange) => void;
}

/** As a PageOwner it stands for the pages of its own: anonymous ones, and copies of a file's in a private mapping. */
export class Vma implements FileMapping, PageOwner {
  readonly options: VmaOptions;
  readonly windows = new Windows();
  readonly #entries = new PageMap<PageTableEntry>();

  constructor(options: VmaOptions) {
    this.options = options;
  }

  get shared(): boolean {
    return (this.options.flags & MAP_SHARED) !== 0;
  }

  get end(): bigint {
    return this.options.address + BigInt(this.options.pages * PAGE_SIZE);
  }

  /** The folio behind a page of the mapping, for this kind of access, or -EFAULT. */
  touch(page: number, write: boolean, by: Toucher = 'cpu'): Folio | number {
    const present = this.#entries.get(page);
    if (!this.#allows(write, by, present)) return -errno.EFAULT;
    if (present && (!write || present.writable)) return present.folio;
    if (present?.owned) return this.#makeWritable(page, present);
    const entry = this.#makeEntry(page, write);
    if (typeof entry === 'number') return entry;
    this.#entries.set(page, entry);
    return entry.folio;
  }

  /** No page table of x86 can say "write only": what may be written can be read. */
  #allows(write: boolean, by: Toucher, present: PageTableEntry | undefined): boolean {
    const { prot } = this.options;
    if (write) return (prot & PROT_WRITE) !== 0;
    if (by === 'cpu') return prot !== PROT_NONE;
    return (prot & PROT_READ) !== 0 || (by === 'fast-gup' && (prot & PROT_WRITE) !== 0 && present?.writable === true);
  }

  #makeEntry(page: number, write: boolean): PageTableEntry | number {
    const { file, filePage } = this.options;
    if (!file) return this.#own(undefined, write);
    const folio = file.fault(filePage + page);
    if (typeof folio === 'number') return folio;
    if (this.shared) return { folio, writable: true, owned: false };
    return write ? this.#own(folio) : { folio, writable: false, owned: false };
  }

  /** Anonymous memory that is only read stays unwritable: in the kernel it is a page of zeros that all share. */
  #own(original?: Folio, writable = true): PageTableEntry | number {
    const folio = this.options.memory.allocate();
    if (typeof folio === 'number') return folio;
    if (original) original.copyTo(folio.bytes, 0);
    return { folio, writable, owned: true };
  }

  #makeWritable(page: number, owned: PageTableEntry): Folio {
    this.#entries.set(page, { ...owned, writable: true });
    return owned.folio;
  }

  /** Whether a page has an entry: for tests of what an unmap really removed. */
  isPresent(page: number): boolean {
    return this.#entries.get(page) !== undefined;
  }

  /** The file's pages that the process has in its page table. */
  *mappedFilePages(): Generator<[page: number, folio: Folio]> {
    const { filePage, pages } = this.options;
    for (const [page, { folio, owned }] of this.#entries.within(0, pages)) if (!owned) yield [filePage + page, folio];
  }

  /** unmap_mapping_range(): drops the entries of these file pages; pages of this mapping's own only where asked to. */
  unmapFilePages(range: PageRange, evenOwn = false): void {
    const start = Math.max(0, range.start - this.options.filePage);
    const end = Math.min(this.options.pages, range.end - this.options.filePage);
    if (start >= end) return;
    if (evenOwn) {
      this.drop(start, end);
      return;
    }
    this.options.onUnmap(this, { start, end });
    for (const [page, entry] of this.#entries.within(start, end)) if (!entry.owned) this.#entries.delete(page);
  }

  /** PageOwner: a long-term pin in a private mapping gets a page of the mapping's own, also to read from it only. */
  page(index: number): Folio | number {
    const present = this.#entries.get(index);
    if (present?.owned) return this.#makeWritable(index, present);
    const entry = this.#makeEntry(index, true);
    if (typeof entry === 'number') return entry;
    this.#entries.set(index, entry);
    return entry.folio;
  }

  *present({ start, end }: PageRange): Iterable<readonly [index: number, folio: Folio]> {
    for (const [page, entry] of this.#entries.within(start, end)) if (entry.owned) yield [page, entry.folio];
  }

  /** What get_user_pages() meets in pages of the mapping's own: those of a file must be there to be copied. */
  refuses(range: PageRange): number {
    const { file, filePage } = this.options;
    if (!file) return 0;
    return file.owner?.refuses({ start: filePage + range.start, end: filePage + range.end }) ?? -errno.EFAULT;
  }

  /** madvise(MADV_DONTNEED) and munmap: drops all entries, and the pages that are this mapping's own. */
  drop(start: number, end: number): void {
    this.options.onUnmap(this, { start, end });
    this.windows.part({ start, end });
    for (const [page, entry] of this.#entries.within(start, end)) {
      this.#entries.delete(page);
      if (entry.owned) this.options.memory.release(entry.folio);
    }
  }

  /** What fork() does: a mapping of the same thing in another process; own pages are copied at once. */
  fork(onUnmap: VmaOptions['onUnmap']): Vma {
    const copy = new Vma({ ...this.options, onUnmap });
    for (const [page, entry] of this.#entries.within(0, this.options.pages)) {
      const twin = entry.owned ? copy.#own(entry.folio, entry.writable) : entry;
      if (typeof twin !== 'number') copy.#entries.set(page, twin);
    }
    return copy;
  }
}
