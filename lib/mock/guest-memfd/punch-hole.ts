/**
 * fallocate(2) with FALLOC_FL_PUNCH_HOLE: drops pages and keeps their state, so that what is touched next reads zero,
 * as shared or private as before. virt/kvm/guest_memfd.c, kvm_gmem_punch_hole(); with huge pages RFC v2, patch 39.
 */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import type { HugePages } from './huge-pages.ts';
import type { GuestMemfdInode } from './inode.ts';
import { invalidateBegin, invalidateEnd, unmapClients } from './invalidate.ts';
import { checkReferences } from './references.ts';
import { hasSomeShared, mergeFolio } from './split-merge.ts';

export function punchHole(inode: GuestMemfdInode, range: PageRange): number {
  invalidateBegin(inode, range, 'truncate');
  unmapClients(inode, range, 'both', 'truncate');
  const result = inode.hugePages ? punchHugePages(inode, inode.hugePages, range) : truncate(inode, range);
  invalidateEnd(inode, range, 'truncate');
  return result;
}

/** Single pages go, also those that are pinned: they stay with their pinner. */
function truncate(inode: GuestMemfdInode, range: PageRange): number {
  inode.unmapHost(range, 'truncate');
  drop(inode, range);
  return 0;
}

/** Huge pages go whole; where the hole has only a part of one, that part is zeroed and stays, held or not. */
function punchHugePages(inode: GuestMemfdInode, { pagesPerFolio }: HugePages, hole: PageRange): number {
  const end = Math.min(hole.end, inode.pages);
  const wholeStart = Math.ceil(hole.start / pagesPerFolio) * pagesPerFolio;
  const wholeEnd = end - (end % pagesPerFolio);
  zeroInPlace(inode, { start: hole.start, end: Math.min(wholeStart, end) });
  const result = truncateHugePages(inode, pagesPerFolio, { start: wholeStart, end: wholeEnd });
  if (end > wholeStart) zeroInPlace(inode, { start: Math.max(wholeEnd, hole.start), end });
  return result;
}

/** One by one, until one is held: those before it are gone by then. */
function truncateHugePages(inode: GuestMemfdInode, pagesPerFolio: number, range: PageRange): number {
  for (let start = range.start; start < range.end; start += pagesPerFolio) {
    const one = { start, end: start + pagesPerFolio };
    const result = hasSomeShared(inode, one) ? mergeAndTruncate(inode, one) : 0;
    if (result !== 0) return result;
    drop(inode, one);
  }
  return 0;
}

/** Pages that the host may hold: they are put together again first, for which nobody may. */
function mergeAndTruncate(inode: GuestMemfdInode, one: PageRange): number {
  inode.unmapHost(one, 'truncate');
  if (checkReferences(inode, one) !== undefined) return -errno.EAGAIN;
  const huge = inode.hugePages?.find(one.start);
  return huge ? mergeFolio(inode, huge) : 0;
}

function zeroInPlace(inode: GuestMemfdInode, part: PageRange): void {
  for (const present of inode.filemap.allocated(part)) inode.zero(present);
}

function drop(inode: GuestMemfdInode, range: PageRange): void {
  inode.dropFolios(range);
  inode.record('truncate', range, { reason: 'truncate' });
}
