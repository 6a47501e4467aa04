/**
 * A file's pages where memory comes as huge pages. A huge page is one folio, or it is split and each of its pages is
 * one. Either way it costs as much here as was written of it: its pages appear when somebody asks for them.
 */

import { errno } from '../../abi/errno.ts';
import type { Faults } from '../faults.ts';
import { Folio, type HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { intersect, type PageRange } from '../ranges.ts';
import type { Filemap } from './filemap.ts';

/** Where the huge pages come from: guest_memfd's allocator, include/linux/guestmem.h of RFC v2. */
export interface Allocator {
  readonly pagesPerFolio: number;
  /** Takes a huge page: 0 or -errno. */
  allocate(): number;
  /** Gives one back. */
  free(): void;
  /** The file is gone. */
  close(): void;
}

/** One huge page of a file. */
export class HugePage {
  readonly range: PageRange;
  isSplit = false;
  /** The number in physical memory of its first page. */
  readonly firstPfn: number;
  readonly #pages = new PageMap<Folio>();

  constructor(range: PageRange, firstPfn: number) {
    this.range = range;
    this.firstPfn = firstPfn;
  }

  page(page: number): Folio {
    const present = this.#pages.get(page);
    if (present) return present;
    const folio = new Folio(this.firstPfn + page - this.range.start);
    this.#pages.set(page, folio);
    return folio;
  }

  within(start: number, end: number): Iterable<[page: number, folio: Folio]> {
    return this.#pages.within(start, end);
  }
}

export class HugePages implements Filemap {
  readonly allocator: Allocator;
  readonly #memory: HostMemory;
  /** By the number of the huge page in the file. */
  readonly #byNumber = new PageMap<HugePage>();

  constructor(allocator: Allocator, memory: HostMemory) {
    this.allocator = allocator;
    this.#memory = memory;
  }

  get accounted(): number {
    return this.#byNumber.size * this.pagesPerFolio;
  }

  get pagesPerFolio(): number {
    return this.allocator.pagesPerFolio;
  }

  get faults(): Faults {
    return this.#memory.faults;
  }

  #numberOf(page: number): number {
    return Math.floor(page / this.pagesPerFolio);
  }

  /** The huge page that holds a page, where the file has it. */
  find(page: number): HugePage | undefined {
    return this.#byNumber.get(this.#numberOf(page));
  }

  /** The huge pages there are that a range touches. */
  *touching({ start, end }: PageRange): Generator<HugePage> {
    if (start >= end) return;
    for (const [, huge] of this.#byNumber.within(this.#numberOf(start), this.#numberOf(end - 1) + 1)) yield huge;
  }

  get(page: number): Folio | undefined {
    return this.find(page)?.page(page);
  }

  folioRange(page: number): PageRange {
    const huge = this.find(page);
    return huge && !huge.isSplit ? huge.range : { start: page, end: page + 1 };
  }

  allocate(page: number): PageRange | number {
    const refusal = this.allocator.allocate();
    if (refusal !== 0) return refusal;
    if (this.faults.failsNow('filemap')) {
      this.allocator.free();
      return -errno.ENOMEM;
    }
    const number = this.#numberOf(page);
    const { pagesPerFolio } = this;
    const range = { start: number * pagesPerFolio, end: (number + 1) * pagesPerFolio };
    const huge = new HugePage(range, this.#memory.takeNumbers(pagesPerFolio));
    this.#byNumber.set(number, huge);
    return range;
  }

  *within(start: number, end: number): Generator<[page: number, folio: Folio]> {
    for (const huge of this.touching({ start, end })) yield* huge.within(start, end);
  }

  *allocated(range: PageRange): Generator<PageRange> {
    for (const huge of this.touching(range)) yield intersect(range, huge.range)!;
  }

  /** Of whole huge pages: a hole in a part of one drops nothing. */
  drop(range: PageRange): void {
    for (const huge of this.touching(range)) {
      this.#byNumber.delete(this.#numberOf(huge.range.start));
      this.#giveBack(huge);
    }
  }

  /** A huge page is free again when the last of its pages is. */
  #giveBack(huge: HugePage): void {
    const pages = [...huge.within(huge.range.start, huge.range.end)];
    let left = pages.length;
    const free = (): void => {
      this.#memory.onFree(huge.firstPfn, this.pagesPerFolio);
      this.allocator.free();
    };
    if (left === 0) free();
    for (const [, folio] of pages) {
      this.#memory.letGo(folio, () => {
        if (--left === 0) free();
      });
    }
  }
}
