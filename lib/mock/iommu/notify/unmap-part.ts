/** The kernel takes a range of an area away, for guest_memfd. */

import type { Reason } from '../../journal.ts';
import type { PageRange } from '../../ranges.ts';
import type { Ioas } from '../iommufd/ioas.ts';
import type { Area } from '../iova/area.ts';
import { replaceByParts } from '../iova/split.ts';
import type { GuestMemfdPages } from '../pages/guest-memfd-pages.ts';
import { entryAround } from './entries.ts';

/**
 * Under `revoke-area` all of the area loses its pages and stays, so that its address is not given to something else
 * behind user space's back. Under `notifier` exactly the range goes, as if user space had unmapped it: what is left of
 * the area can still be unmapped, and the range be mapped anew.
 */
export function unmapPart(ioas: Ioas, area: Area, pages: GuestMemfdPages, range: PageRange, reason: Reason): void {
  if (pages.policy === 'revoke-area') {
    pages.forget(area.range);
    ioas.record('iommu-unmap', area.start, area.last, { reason, detail: 'the whole area is revoked' });
    return;
  }
  const { start, last } = area.addressesOf(range);
  const middle = cutOut(ioas, area, pages, start, last);
  ioas.table.drop(middle);
  ioas.record('iommu-unmap', start, last, { reason });
}

/** Cuts an area where the range begins and ends; answers the piece in between. */
function cutOut(ioas: Ioas, area: Area, pages: GuestMemfdPages, start: bigint, last: bigint): Area {
  let piece = area;
  for (const at of [start, last + 1n]) {
    if (at <= piece.start || at > piece.last) continue;
    recordSplit(ioas, piece, pages, at);
    const [before, after] = replaceByParts(ioas.table, piece, at);
    piece = at === start ? after : before;
  }
  return piece;
}

/** Entries of a page table that reach over the cut are broken up into smaller ones first. */
function recordSplit(ioas: Ioas, area: Area, pages: GuestMemfdPages, at: bigint): void {
  if (!area.filled) return;
  for (const domain of ioas.table.domains) {
    const entry = entryAround(domain.format, area, pages, at);
    if (!entry) continue;
    ioas.record('iommu-split', entry.start, entry.last, { detail: `${entry.last - entry.start + 1n} bytes` });
  }
}
