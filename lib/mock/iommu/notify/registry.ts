/** All areas that show guest_memfds: which inode's client each belongs to. */

import type { GuestMemfdInode } from '../../guest-memfd/index.ts';
import type { Platform } from '../../platform/index.ts';
import type { Ioas, NotifiedAreas } from '../iommufd/ioas.ts';
import type { Area } from '../iova/area.ts';
import { GuestMemfdPages } from '../pages/guest-memfd-pages.ts';
import { GuestMemfdMappings } from './mappings.ts';

export class GuestMemfdAreas implements NotifiedAreas {
  readonly #platform: Platform;
  readonly #mappings = new WeakMap<GuestMemfdInode, GuestMemfdMappings>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  #of(inode: GuestMemfdInode): GuestMemfdMappings {
    const known = this.#mappings.get(inode) ?? new GuestMemfdMappings(inode, this.#platform);
    this.#mappings.set(inode, known);
    return known;
  }

  add(ioas: Ioas, area: Area): void {
    const { pages } = area;
    if (pages instanceof GuestMemfdPages) this.#of(pages.inode).add(ioas, area, pages);
  }

  remove(area: Area): void {
    const { pages } = area;
    if (pages instanceof GuestMemfdPages) this.#of(pages.inode).remove(area);
  }
}
