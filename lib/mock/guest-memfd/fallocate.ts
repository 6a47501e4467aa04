/** fallocate(2) on a guest_memfd: virt/kvm/guest_memfd.c, kvm_gmem_fallocate(). Lengths are signed, as loff_t is. */

import { errno } from '../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/linux.ts';
import { isAligned, type PageRange, toPages } from '../ranges.ts';
import type { GuestMemfdInode } from './inode.ts';
import { invalidateBegin, invalidateEnd, unmapClients } from './invalidate.ts';

/** What the file system's own part checks, after the generic part (negative or empty ranges) has passed. */
export function fallocate(inode: GuestMemfdInode, mode: number, offset: bigint, length: bigint): number {
  if (!(mode & FALLOC_FL_KEEP_SIZE)) return -errno.EOPNOTSUPP;
  if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -errno.EOPNOTSUPP;
  if (!isAligned(offset) || !isAligned(length)) return -errno.EINVAL;
  const range = { start: toPages(offset), end: toPages(offset + length) };
  if (mode & FALLOC_FL_PUNCH_HOLE) return punchHole(inode, range);
  return offset + length > inode.size ? -errno.EINVAL : allocate(inode, range);
}

/** Drops the pages and keeps their state: what is touched next reads zero, as shared or private as before. */
function punchHole(inode: GuestMemfdInode, range: PageRange): number {
  invalidateBegin(inode, range, 'truncate');
  unmapClients(inode, range, 'both', 'truncate');
  inode.unmapHost(range, 'truncate');
  inode.dropFolios(range);
  inode.record('truncate', range, { reason: 'truncate' });
  invalidateEnd(inode, range, 'truncate');
  return 0;
}

/** Allocates without zeroing. What was allocated before a failure or a signal stays. */
function allocate(inode: GuestMemfdInode, range: PageRange): number {
  for (let page = range.start; page < range.end; page++) {
    if (inode.faults.interruptsAfter(page - range.start)) return -errno.EINTR;
    const folio = inode.folio(page);
    if (typeof folio === 'number') return folio;
  }
  return 0;
}
