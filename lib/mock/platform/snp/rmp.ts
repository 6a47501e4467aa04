/**
 * The reverse map table of SEV-SNP: for each page of the host's memory which guest it is assigned to, and at which of
 * its addresses. Entries are for 4 KiB, or for 2 MiB where all of that is one guest's.
 * Source: arch/x86/virt/svm/sev.c (rmpupdate(), psmash(), snp_lookup_rmpentry()) of Linux 7.3.4.
 */

import { RangeMap } from '../../../ranges/range-map.ts';

export const PAGES_2M = 512;

export interface RmpEntry {
  readonly asid: number;
  /** Added to a page's number, the number of the guest's page. */
  readonly gfnOffset: number;
  readonly size: '4K' | '2M';
}

/** What RMPUPDATE answers where it does not do what it is asked. */
export type RmpRefusal = 'FAIL_OVERLAP' | 'FAIL_INUSE';

const alignDown = (page: number): number => page - (page % PAGES_2M);

export class Rmp {
  readonly #entries = new RangeMap<RmpEntry | undefined>(undefined);
  #assigned = 0;

  /** The entry of an assigned page; undefined for the host's own. */
  lookup(pfn: number): RmpEntry | undefined {
    return this.#entries.get(pfn);
  }

  /** Pages that are assigned to guests. */
  get assigned(): number {
    return this.#assigned;
  }

  /** Whether nothing of the 2 MiB around a page is assigned: is_large_rmp_possible(). */
  isFree2M(pfn: number): boolean {
    const start = alignDown(pfn);
    return this.#entries.isAll(start, start + PAGES_2M, undefined);
  }

  /** RMPUPDATE to a guest: the page, or the 2 MiB around it. */
  assign(pfn: number, gfn: number, asid: number, size: RmpEntry['size']): RmpRefusal | undefined {
    const start = size === '2M' ? alignDown(pfn) : pfn;
    const end = size === '2M' ? start + PAGES_2M : pfn + 1;
    // A page inside of a larger entry must be taken out of it first.
    if (!this.#entries.isAll(start, end, undefined)) return 'FAIL_OVERLAP';
    this.#entries.set(start, end, { asid, gfnOffset: gfn - pfn, size });
    this.#assigned += end - start;
    return undefined;
  }

  /** PSMASH: one entry of 2 MiB becomes 512 of 4 KiB, for the same guest. */
  smash(pfn: number): RmpRefusal | undefined {
    const entry = this.lookup(pfn);
    if (entry?.size !== '2M') return 'FAIL_INUSE';
    const start = alignDown(pfn);
    this.#entries.set(start, start + PAGES_2M, { ...entry, size: '4K' });
    return undefined;
  }

  /** RMPUPDATE of one page back to the host, or of all of the entry of 2 MiB that it belongs to. */
  share(pfn: number, size: RmpEntry['size']): RmpRefusal | undefined {
    const entry = this.lookup(pfn);
    if (!entry) return undefined;
    if (entry.size !== size) return 'FAIL_OVERLAP';
    const start = size === '2M' ? alignDown(pfn) : pfn;
    this.#clear(start, size === '2M' ? start + PAGES_2M : pfn + 1);
    return undefined;
  }

  /**
   * sev_gmem_make_shared(): takes a range of pages back. Large entries at its edges are smashed first, so that what is
   * beyond them stays the guest's, in small ones. Whether there was anything.
   */
  shareRange(start: number, end: number): boolean {
    if (this.#entries.isAll(start, end, undefined)) return false;
    this.smash(start);
    this.smash(end - 1);
    this.#clear(start, end);
    return true;
  }

  #clear(start: number, end: number): void {
    for (const run of this.#entries.within(start, end)) if (run.value) this.#assigned -= run.end - run.start;
    this.#entries.set(start, end, undefined);
  }
}
