/** fallocate(2) on a guest_memfd: virt/kvm/guest_memfd.c, kvm_gmem_fallocate(). Lengths are signed, as loff_t is. */

import { errno } from '../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/linux.ts';
import { isAligned, type PageRange, toPages } from '../ranges.ts';
import { getFolio } from './get-folio.ts';
import type { GuestMemfdInode } from './inode.ts';
import { punchHole } from './punch-hole.ts';

/** What the file system's own part checks, after the generic part (negative or empty ranges) has passed. */
export function fallocate(inode: GuestMemfdInode, mode: number, offset: bigint, length: bigint): number {
  if (!(mode & FALLOC_FL_KEEP_SIZE)) return -errno.EOPNOTSUPP;
  if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -errno.EOPNOTSUPP;
  if (!isAligned(offset) || !isAligned(length)) return -errno.EINVAL;
  const range = { start: toPages(offset), end: toPages(offset + length) };
  if (mode & FALLOC_FL_PUNCH_HOLE) return inode.change(range, () => punchHole(inode, range));
  return offset + length > inode.size ? -errno.EINVAL : allocate(inode, range);
}

/**
 * Allocates without zeroing. What was allocated before a failure or a signal stays. With huge pages both ends are
 * rounded down, so that a range which does not reach the end of its huge page gets nothing there.
 */
function allocate(inode: GuestMemfdInode, { start, end }: PageRange): number {
  const step = inode.hugePages?.pagesPerFolio ?? 1;
  const first = start - (start % step);
  for (let page = first; page + step <= end; page += step) {
    const done = page - first;
    if (inode.faults.interruptsBy(done)) return -errno.EINTR;
    const folio = getFolio(inode, page);
    if (typeof folio === 'number') return folio;
    // The kernel looks for signals between any two folios, also those of a huge page that was split.
    const isWhole = inode.filemap.folioRange(page).end === page + step;
    if (!isWhole && inode.faults.interruptsBy(done + step - 1)) return -errno.EINTR;
  }
  return 0;
}
