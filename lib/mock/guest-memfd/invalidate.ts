/** Telling every client of an inode, in the order the kernel does. */

import type { Reason } from '../journal.ts';
import type { PageRange } from '../ranges.ts';
import type { Filter } from './clients.ts';
import type { GuestMemfdInode } from './inode.ts';

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
