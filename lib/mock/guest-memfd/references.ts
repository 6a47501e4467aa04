/** Whether a range can become private: nobody but the page cache may hold its pages. */

import type { PageRange } from '../ranges.ts';
import type { GuestMemfdInode } from './inode.ts';

/** The first page of the range, in file order, that somebody holds. */
export function firstReferenced(inode: GuestMemfdInode, range: PageRange): number | undefined {
  const held = inode.windows.firstHeld(range);
  for (const [page, folio] of inode.filemap.within(range.start, held ?? range.end)) {
    if (folio.references + inode.faults.passingReferences(folio) > 0) return page;
  }
  return held;
}

/** As firstReferenced, and says in the journal what it found. */
export function checkReferences(inode: GuestMemfdInode, range: PageRange): number | undefined {
  const held = firstReferenced(inode, range);
  inode.record('check-references', range, { detail: held === undefined ? 'free' : `page ${held} is held` });
  return held;
}
