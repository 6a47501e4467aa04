/**
 * The memory itself: its size, who may touch which page, the pages there are, and everybody who must hear of changes.
 * Knows neither KVM nor an IOMMU nor an architecture.
 */

import { RangeMap } from '../../ranges/index.ts';
import type { Faults } from '../faults.ts';
import type { Journal, Reason, Step } from '../journal.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { Windows } from '../page-windows.ts';
import { intersect, type PageRange, toBytes, toPages } from '../ranges.ts';
import type { Client } from './clients.ts';
import type { Filemap } from './filemap.ts';
import { type Allocator, HugePages } from './huge-pages.ts';
import { SinglePages } from './single-pages.ts';

/** `shared`: host and guest. `private`: the guest alone. */
export type Shareability = 'shared' | 'private';

/** A process's mapping of the file: what unmap_mapping_pages() reaches. */
export interface HostMapping {
  /** Which of the file's pages the process has in its page table. */
  mappedFilePages(): Iterable<readonly [page: number, folio: Folio]>;
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
  /** Where its huge pages come from; single pages otherwise. */
  readonly allocator: Allocator | undefined;
  readonly memory: HostMemory;
  readonly journal: Journal;
}

export class GuestMemfdInode {
  readonly number: number;
  readonly pages: number;
  readonly mappable: boolean;
  readonly shareability: RangeMap<Shareability>;
  /** Which pages hold something that is meant to be there; the first user of the others zeroes them. */
  readonly uptodate = new RangeMap(false);
  readonly filemap: Filemap;
  /** The same as `filemap`, where it is made of huge pages. */
  readonly hugePages: HugePages | undefined;
  readonly clients = new Set<Client>();
  readonly mappings = new Set<HostMapping>();
  /** "inode 101", for the journal. */
  readonly title: string;
  /** Outsiders that have taken pages of it. */
  readonly windows = new Windows();
  readonly #changing: PageRange[] = [];
  readonly #whenSettled: (() => void)[] = [];
  readonly #memory: HostMemory;
  readonly #journal: Journal;
  readonly #countsBlocks: boolean;

  constructor(options: InodeOptions) {
    this.number = options.number;
    this.title = `inode ${options.number}`;
    this.pages = toPages(options.size);
    this.mappable = options.mappable;
    this.shareability = new RangeMap(options.initially);
    this.#countsBlocks = options.countsBlocks;
    this.hugePages = options.allocator && new HugePages(options.allocator, options.memory);
    this.filemap = this.hugePages ?? new SinglePages(options.memory);
    this.#memory = options.memory;
    this.#journal = options.journal;
  }

  get size(): bigint {
    return toBytes(this.pages);
  }

  /** st_blksize, in pages. */
  get blockPages(): number {
    return this.hugePages?.pagesPerFolio ?? 1;
  }

  /** st_blocks, where it counts at all. */
  get blocks(): bigint {
    return this.#countsBlocks ? toBytes(this.filemap.accounted) / 512n : 0n;
  }

  get faults(): Faults {
    return this.#memory.faults;
  }

  record(step: Step, { start, end }: PageRange, { reason, detail }: { reason?: Reason; detail?: string } = {}): void {
    this.#journal.record(step, this.title, start, end, reason, detail);
  }

  /** Zeroes pages where they are. */
  zero({ start, end }: PageRange): void {
    for (const [, folio] of this.filemap.within(start, end)) folio.zero();
    this.record('zero', { start, end });
  }

  /** Removes the range's page-table entries from every process. */
  unmapHost(range: PageRange, reason: Reason): void {
    for (const mapping of this.mappings) mapping.unmapFilePages(range);
    this.record('unmap-host', range, { reason });
  }

  /** Changes the state of a range: until that is over, nobody may take pages of it (the mapping's invalidate_lock). */
  change<T>(range: PageRange, act: () => T): T {
    this.#changing.push(range);
    try {
      return act();
    } finally {
      this.#changing.pop();
      if (this.#changing.length === 0) for (const wake of this.#whenSettled.splice(0)) wake();
    }
  }

  isChanging(range: PageRange): boolean {
    return this.#changing.some((changing) => intersect(changing, range) !== undefined);
  }

  /** Calls back when no change is under way any more. */
  onceSettled(wake: () => void): void {
    this.#whenSettled.push(wake);
  }

  /** Drops the range's folios, and what they held. Outsiders who took pages keep what they took. */
  dropFolios(range: PageRange): void {
    this.windows.part(range);
    this.filemap.drop(range);
    this.uptodate.set(range.start, range.end, false);
  }

  /** Nobody has the file any more: its memory goes, pinned or not. */
  evict(): void {
    this.dropFolios({ start: 0, end: this.pages });
    this.hugePages?.allocator.close();
  }

  pin(folio: Folio): void {
    this.#memory.get(folio);
  }

  unpin(folio: Folio): void {
    this.#memory.put(folio);
  }
}
