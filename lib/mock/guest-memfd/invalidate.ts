/** Telling every client of an inode, in the order the kernel does. */

import type { Reason } from '../journal.ts';
import { type PageRange, roundOut } from '../ranges.ts';
import type { Filter } from './clients.ts';
import type { GuestMemfdInode } from './inode.ts';

/**
 * What must stand still while a part of it is converted: all of the huge pages it touches, since they may be taken
 * apart. Only begin and end are so wide; what is unmapped and checked is the part itself.
 */
export const widened = ({ hugePages }: GuestMemfdInode, range: PageRange): PageRange =>
  hugePages ? roundOut(range, hugePages.pagesPerFolio) : range;

export function invalidateBegin(inode: GuestMemfdInode, range: PageRange, reason: Reason): void {
  inode.record('invalidate-begin', range, { reason });
  for (const client of inode.clients) client.invalidateBegin(range, reason);
}

export function unmapClients(inode: GuestMemfdInode, range: PageRange, filter: Filter, reason: Reason): void {
  for (const client of inode.clients) client.unmap(range, filter, reason);
}

export function invalidateEnd(inode: GuestMemfdInode, range: PageRange, reason: Reason): void {
  for (const client of inode.clients) client.invalidateEnd(range, reason);
  inode.record('invalidate-end', range, { reason });
}
