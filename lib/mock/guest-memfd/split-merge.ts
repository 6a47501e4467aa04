/**
 * Huge pages follow the state of their pages: whole where all are private, in single pages where any is shared, since
 * the host may only ever hold single pages. "1G page support for guest_memfd" RFC v2, patch 38,
 * kvm_gmem_restructure_folios_in_range().
 */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import type { HugePage } from './huge-pages.ts';
import type { GuestMemfdInode } from './inode.ts';

/** Whether a range holds pages that the host may touch. A file that cannot be mapped has none. */
export const hasSomeShared = (inode: GuestMemfdInode, { start, end }: PageRange): boolean =>
  inode.mappable && !inode.shareability.isAll(start, end, 'private');

/**
 * Brings every huge page that the range touches in line with the state that was just stored: 0, or -errno and all of
 * them as before. On the way to shared that splits each one that is whole; on the way to private it merges those of
 * which nothing is shared any more.
 */
export function restructureFolios(inode: GuestMemfdInode, range: PageRange): number {
  if (!inode.hugePages) return 0;
  const changed: HugePage[] = [];
  for (const huge of inode.hugePages.touching(range)) {
    const wasSplit = huge.isSplit;
    const refusal = hasSomeShared(inode, huge.range) ? splitFolio(inode, huge) : mergeFolio(inode, huge);
    if (refusal !== 0) {
      for (const done of changed.reverse()) setSplit(inode, done, !done.isSplit);
      return refusal;
    }
    if (huge.isSplit !== wasSplit) changed.push(huge);
  }
  return 0;
}

/** The same on the way back to a state that there was before; it cannot fail. */
export function restoreFolios(inode: GuestMemfdInode, range: PageRange): void {
  for (const huge of inode.hugePages?.touching(range) ?? []) setSplit(inode, huge, hasSomeShared(inode, huge.range));
}

/** For a huge page that has just been allocated. */
export function splitIfShared(inode: GuestMemfdInode, page: number): number {
  const huge = inode.hugePages?.find(page);
  return huge && hasSomeShared(inode, huge.range) ? splitFolio(inode, huge) : 0;
}

/** Keeps apart what a huge page has beyond its pages, then lists the pages one by one. */
function splitFolio(inode: GuestMemfdInode, huge: HugePage): number {
  if (huge.isSplit) return 0;
  for (const point of ['split-metadata', 'split-vmemmap', 'filemap'] as const) {
    if (inode.faults.failsNow(point)) return -errno.ENOMEM;
  }
  setSplit(inode, huge, true);
  return 0;
}

/** The pages must be nobody's but the file's. What each of them holds stays. */
export function mergeFolio(inode: GuestMemfdInode, huge: HugePage): number {
  if (inode.faults.failsNow('filemap')) return -errno.ENOMEM;
  setSplit(inode, huge, false);
  return 0;
}

function setSplit(inode: GuestMemfdInode, huge: HugePage, isSplit: boolean): void {
  if (huge.isSplit === isSplit) return;
  huge.isSplit = isSplit;
  inode.record(isSplit ? 'split-folio' : 'merge-folio', huge.range);
}
