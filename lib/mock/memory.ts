/** The host's memory: folios, how many of them there may be, and who holds them. */

import { errno } from '../abi/errno.ts';
import { PAGE_SIZE } from '../abi/linux.ts';
import type { Faults } from './faults.ts';

/** A page of memory that somebody can hold on its own. A page that nobody has written costs no bytes. */
export class Folio {
  /** Where in physical memory it lies: what hardware knows a page by. Undefined for pages of the kernel's own. */
  readonly pfn: number | undefined;
  #bytes: Uint8Array | undefined;
  /** References beyond the page cache's own: pins. They outlive a truncation. */
  references = 0;
  /** It is broken (PG_hwpoison): whoever touches it is told, and nobody gets what was on it. */
  poisoned = false;

  constructor(pfn?: number) {
    this.pfn = pfn;
  }

  /** The page's bytes, for writing. */
  get bytes(): Uint8Array {
    this.#bytes ??= new Uint8Array(PAGE_SIZE);
    return this.#bytes;
  }

  /** Copies bytes out, without giving an untouched page memory of its own. */
  copyTo(target: Uint8Array, at: number): void {
    if (this.#bytes) target.set(this.#bytes.subarray(at, at + target.length));
    else target.fill(0);
  }

  zero(): void {
    this.#bytes = undefined;
  }
}

/** A broken page is held for good by nobody in particular: it is lost, and in use by no one. */
const users = (folio: Folio): number => folio.references - (folio.poisoned ? 1 : 0);

export class HostMemory {
  /** Pages there are. */
  readonly total: number;
  readonly faults: Faults;
  /** Told of all pages that go back to the host, before anybody else can have them: so many from one on. */
  onFree: (pfn: number, pages: number) => void = () => {};
  #pages = 0;
  /** Page numbers are never used twice, so that a stale one leads nowhere. */
  #nextPfn = 0x1000;

  constructor(bytes: number, faults: Faults) {
    this.total = Math.floor(bytes / PAGE_SIZE);
    this.faults = faults;
  }

  /** Pages handed out and not yet given back. */
  get pagesInUse(): number {
    return this.#pages;
  }

  /** A fresh folio, or -ENOMEM. */
  allocate(): Folio | number {
    if (this.faults.failsNow('page') || this.#pages >= this.total) return -errno.ENOMEM;
    this.#pages++;
    return new Folio(this.takeNumbers(1));
  }

  /** So many page numbers side by side, on a multiple of their count: the first of them. */
  takeNumbers(count: number): number {
    const first = Math.ceil(this.#nextPfn / count) * count;
    this.#nextPfn = first + count;
    return first;
  }

  /** The page cache lets go of a folio that allocate() gave. */
  release(folio: Folio): void {
    this.letGo(folio, () => this.#pages--);
  }

  /** The page cache lets go of a folio: it goes back to the host now, or by the last unpin where it is pinned. */
  letGo(folio: Folio, account: () => void): void {
    if (users(folio) > 0) this.#orphans.set(folio, account);
    else this.#free(folio, account);
  }

  get(folio: Folio): void {
    folio.references++;
  }

  put(folio: Folio): void {
    folio.references--;
    const account = this.#orphans.get(folio);
    if (users(folio) > 0 || !account) return;
    this.#orphans.delete(folio);
    this.#free(folio, account);
  }

  #free(folio: Folio, account: () => void): void {
    account();
    if (folio.pfn !== undefined) this.onFree(folio.pfn, 1);
  }

  /** Processes that have memory mapped. */
  readonly users = new Set<object>();

  /** Pages that only those have who hold them. */
  orphans(): Iterable<Folio> {
    return this.#orphans.keys();
  }

  get orphaned(): number {
    return this.#orphans.size;
  }

  /** Folios that left the page cache while pinned, and who counts them. */
  readonly #orphans = new Map<Folio, () => void>();
}
