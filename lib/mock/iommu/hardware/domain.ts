/** A hardware page table (struct iommu_domain): its format, and which of its entries a device has written through. */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Area } from '../iova/area.ts';
import type { Format } from './format.ts';

const PAGE = BigInt(PAGE_SIZE);

/** Its driver: compared for which one it is, and asked what holds for each of its page tables. */
interface Maker {
  /** IOMMU_CAP_ENFORCE_CACHE_COHERENCY */
  readonly enforcesCoherency: boolean;
}

export class Domain {
  readonly format: Format;
  readonly driver: Maker;
  /** Whether it was made to keep dirty bits. */
  readonly canTrack: boolean;
  tracking = false;
  /** The first address of each dirty entry. */
  readonly #dirty = new Set<bigint>();

  constructor(format: Format, driver: Maker, canTrack: boolean) {
    this.format = format;
    this.driver = driver;
    this.canTrack = canTrack;
  }

  /** Whether an area can be put into it: 0 or -errno. */
  refuses({ access }: Area): number {
    return access.read || access.write || this.format.mapsWithoutAccess ? 0 : -errno.EINVAL;
  }

  /** A device has written through the entry that holds an address of this area. */
  setDirty(area: Area, iova: bigint): void {
    this.#dirty.add(this.entryAt(area, iova).start);
  }

  /** Dirty entries of an area within [start, last], ascending; cleared unless they are to stay. */
  *dirtyEntries(area: Area, start: bigint, last: bigint, keep: boolean): Generator<{ start: bigint; last: bigint }> {
    if (this.#dirty.size === 0) return;
    for (const at of [...this.#dirty].sort((a, b) => (a < b ? -1 : 1))) {
      if (at > last || at > area.last) return;
      if (at < area.start) continue;
      const entry = this.entryAt(area, at);
      if (entry.last < start) continue;
      if (!keep) this.#dirty.delete(at);
      yield entry;
    }
  }

  /** The range is mapped no longer, or tracking starts anew. */
  clean(start: bigint, last: bigint): void {
    for (const at of this.#dirty) if (at >= start && at <= last) this.#dirty.delete(at);
  }

  /**
   * The entry that maps an address. Pages of memory are as if scattered: an entry is never larger than one, and
   * smaller only where the format has smaller pages and the area does not lie as the memory does.
   */
  entryAt(area: Area, iova: bigint): { start: bigint; last: bigint } {
    const { smallestPage } = this.format;
    const size = (area.start - area.startByte) % PAGE === 0n ? PAGE : smallestPage;
    const from = iova - (iova % size);
    const start = from < area.start ? iova - (iova % smallestPage) : from;
    const end = start + size - 1n;
    return { start, last: end > area.last ? start + smallestPage - 1n : end };
  }
}
