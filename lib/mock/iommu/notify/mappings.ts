/**
 * The areas that show a guest_memfd, by its pages: as one client of the inode, however many they are. What a
 * conversion or a truncation does to them is the policy's affair, and where that is the notifier, the hardware's.
 */

import type { Client, Filter, GuestMemfdInode, OutsideRange } from '../../guest-memfd/index.ts';
import type { Reason } from '../../journal.ts';
import { OverlapMap } from '../../overlap-map.ts';
import type { Platform } from '../../platform/index.ts';
import { intersect, type PageRange } from '../../ranges.ts';
import type { Ioas } from '../iommufd/ioas.ts';
import type { Area } from '../iova/area.ts';
import type { GuestMemfdPages } from '../pages/guest-memfd-pages.ts';
import { unmapPart } from './unmap-part.ts';

/** An area that shows some of the file. */
interface Place {
  readonly ioas: Ioas;
  readonly area: Area;
  readonly pages: GuestMemfdPages;
}

/** Why a mapping stays although its pages change hands. */
type Fate = 'unmap' | 'keep' | 'stale';

export class GuestMemfdMappings implements Client {
  readonly #inode: GuestMemfdInode;
  readonly #platform: Platform;
  readonly #places = new OverlapMap<Place>();
  readonly #byArea = new Map<Area, Place>();

  constructor(inode: GuestMemfdInode, platform: Platform) {
    this.#inode = inode;
    this.#platform = platform;
  }

  add(ioas: Ioas, area: Area, pages: GuestMemfdPages): void {
    if (this.#byArea.size === 0) this.#inode.clients.add(this);
    const place = { ioas, area, pages };
    this.#byArea.set(area, place);
    this.#places.add(pages.inFile(area.range), place);
  }

  remove(area: Area): void {
    const place = this.#byArea.get(area);
    if (!place) return;
    this.#byArea.delete(area);
    this.#places.remove(place.pages.inFile(area.range), place);
    if (this.#byArea.size === 0) this.#inode.clients.delete(this);
  }

  *outsideRanges(): Generator<OutsideRange> {
    for (const { area, pages } of this.#byArea.values()) {
      const follows = pages.policy !== 'trust-vmm' && !this.#platform.keepsTranslations;
      for (const mapped of pages.mapped(area.range)) yield { ...pages.inFile(mapped), side: pages.side, follows };
    }
  }

  /** Maps are held off by the inode itself for as long as it changes: see `hold-off.ts`. */
  invalidateBegin(): void {}
  invalidateEnd(): void {}

  unmap(range: PageRange, filter: Filter, reason: Reason): void {
    for (const place of this.#places.items(range)) {
      const { area, pages } = place;
      if (filter !== 'both' && filter !== pages.side) continue;
      const touched = intersect(pages.inFile(area.range), range);
      if (!touched) continue;
      for (const mapped of pages.mapped(pages.fromFile(touched))) this.#decide(place, mapped, reason);
    }
  }

  #decide(place: Place, mapped: PageRange, reason: Reason): void {
    const { ioas, area, pages } = place;
    const { start, last } = area.addressesOf(mapped);
    const fate = this.#fate(pages, reason);
    if (fate === 'unmap') unmapPart(ioas, area, pages, mapped, reason);
    else if (!area.filled) return;
    else if (fate === 'keep') ioas.record('iommu-keep', start, last, { reason });
    // Of pages that go the IOAS itself learns when they have gone.
    else if (isConversion(reason)) ioas.record('iommu-stale', start, last, { reason });
  }

  #fate({ policy }: GuestMemfdPages, reason: Reason): Fate {
    if (policy === 'trust-vmm') return 'stale';
    return policy === 'notifier' && isConversion(reason) && this.#platform.keepsTranslations ? 'keep' : 'unmap';
  }
}

const isConversion = (reason: Reason): boolean => reason === 'convert-to-private' || reason === 'convert-to-shared';
