/**
 * The memory itself: its size, who may touch which page, the pages there are, and everybody who must hear of changes.
 * Knows neither KVM nor an IOMMU nor an architecture.
 */

import { errno } from '../../abi/errno.ts';
import type { Faults } from '../faults.ts';
import type { Journal, Reason, Step } from '../journal.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import { RangeMap } from '../range-map.ts';
import { type PageRange, toBytes, toPages } from '../ranges.ts';
import type { Client } from './clients.ts';

/** `shared`: host and guest. `private`: the guest alone. */
export type Shareability = 'shared' | 'private';

/** A process's mapping of the file: what unmap_mapping_pages() reaches. */
export interface HostMapping {
  unmapFilePages(range: PageRange): void;
}

export interface InodeOptions {
  readonly number: number;
  readonly size: bigint;
  readonly initially: Shareability;
  /** Whether the host may map it at all. */
  readonly mappable: boolean;
  /** Whether st_blocks counts; see Profile. */
  readonly countsBlocks: boolean;
  readonly memory: HostMemory;
  readonly journal: Journal;
}

export class GuestMemfdInode {
  readonly number: number;
  readonly pages: number;
  readonly mappable: boolean;
  readonly initially: Shareability;
  readonly shareability: RangeMap<Shareability>;
  readonly folios = new PageMap<Folio>();
  readonly clients = new Set<Client>();
  readonly mappings = new Set<HostMapping>();
  readonly #title: string;
  readonly #memory: HostMemory;
  readonly #journal: Journal;
  readonly #countsBlocks: boolean;
  #allocated = 0;

  constructor(options: InodeOptions) {
    this.number = options.number;
    this.#title = `inode ${options.number}`;
    this.pages = toPages(options.size);
    this.mappable = options.mappable;
    this.initially = options.initially;
    this.shareability = new RangeMap(options.initially);
    this.#countsBlocks = options.countsBlocks;
    this.#memory = options.memory;
    this.#journal = options.journal;
  }

  get size(): bigint {
    return toBytes(this.pages);
  }

  /** st_blocks: where it counts at all, up by allocation and not down by a punched hole. */
  get blocks(): bigint {
    return this.#countsBlocks ? toBytes(this.#allocated) / 512n : 0n;
  }

  get faults(): Faults {
    return this.#memory.faults;
  }

  record(step: Step, { start, end }: PageRange, { reason, detail }: { reason?: Reason; detail?: string } = {}): void {
    this.#journal.record(step, this.#title, start, end, reason, detail);
  }

  /** The page's folio, allocated if need be; its contents are undefined until someone zeroes them. */
  folio(page: number): Folio | number {
    const present = this.folios.get(page);
    if (present) return present;
    const folio = this.#memory.allocate();
    if (typeof folio === 'number') return folio;
    this.folios.set(page, folio);
    this.#allocated++;
    this.record('allocate', { start: page, end: page + 1 });
    return folio;
  }

  /** The page as its first user finds it: zero. */
  usableFolio(page: number): Folio | number {
    const folio = this.folio(page);
    if (typeof folio === 'number' || folio.uptodate) return folio;
    folio.zero();
    folio.uptodate = true;
    this.record('zero', { start: page, end: page + 1 });
    return folio;
  }

  /**
   * A host page fault: only shared pages inside the file. Everything else is SIGBUS, which copies see as EFAULT; so do
   * they where there is no memory, and only a populating madvise says ENOMEM.
   */
  hostFault(page: number): Folio | number {
    if (page >= this.pages || this.shareability.get(page) !== 'shared') return -errno.EFAULT;
    return this.usableFolio(page);
  }

  /** Removes the range's page-table entries from every process. */
  unmapHost(range: PageRange, reason: Reason): void {
    for (const mapping of this.mappings) mapping.unmapFilePages(range);
    this.record('unmap-host', range, { reason });
  }

  /** Drops the range's pages. One that is pinned lives on with its pinner; the file is done with it. */
  dropFolios(range: PageRange): void {
    for (const [page, folio] of this.folios.within(range.start, range.end)) {
      this.folios.delete(page);
      this.#memory.release(folio);
    }
  }

  pin(folio: Folio): void {
    this.#memory.get(folio);
  }

  unpin(folio: Folio): void {
    this.#memory.put(folio);
  }
}
