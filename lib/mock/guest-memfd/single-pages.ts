/** A file's pages where each is a folio of its own, from the host's ordinary memory. */

import { errno } from '../../abi/errno.ts';
import type { Folio, HostMemory } from '../memory.ts';
import { PageMap } from '../page-map.ts';
import type { PageRange } from '../ranges.ts';
import type { Filemap } from './filemap.ts';

export class SinglePages implements Filemap {
  readonly #folios = new PageMap<Folio>();
  readonly #memory: HostMemory;
  /** Goes up by allocation, and not down by a punched hole: RFC v2, patch 51. */
  #everAllocated = 0;

  constructor(memory: HostMemory) {
    this.#memory = memory;
  }

  get accounted(): number {
    return this.#everAllocated;
  }

  get(page: number): Folio | undefined {
    return this.#folios.get(page);
  }

  folioRange(page: number): PageRange {
    return { start: page, end: page + 1 };
  }

  allocate(page: number): PageRange | number {
    const folio = this.#memory.allocate();
    if (typeof folio === 'number') return folio;
    if (this.#memory.faults.failsNow('filemap')) {
      this.#memory.release(folio);
      return -errno.ENOMEM;
    }
    this.#folios.set(page, folio);
    this.#everAllocated++;
    return this.folioRange(page);
  }

  within(start: number, end: number): Iterable<[page: number, folio: Folio]> {
    return this.#folios.within(start, end);
  }

  *allocated({ start, end }: PageRange): Generator<PageRange> {
    for (const [page] of this.within(start, end)) yield this.folioRange(page);
  }

  drop({ start, end }: PageRange): void {
    for (const [page, folio] of this.within(start, end)) {
      this.#folios.delete(page);
      this.#memory.release(folio);
    }
  }
}
