/** A page of the file for somebody who is about to use it: virt/kvm/guest_memfd.c, kvm_gmem_get_folio(). */

import { errno } from '../../abi/errno.ts';
import type { Folio } from '../memory.ts';
import type { GuestMemfdInode } from './inode.ts';
import { splitIfShared } from './split-merge.ts';

/** The page, allocated if need be; its contents are undefined until someone zeroes them. */
export function getFolio(inode: GuestMemfdInode, page: number): Folio | number {
  return inode.filemap.get(page) ?? allocateFolio(inode, page);
}

/** A huge page of which anything is shared is split before anyone sees it: the host is given single pages only. */
function allocateFolio(inode: GuestMemfdInode, page: number): Folio | number {
  const added = inode.filemap.allocate(page);
  if (typeof added === 'number') return added;
  inode.record('allocate', added);
  const refusal = splitIfShared(inode, page);
  if (refusal === 0) return inode.filemap.get(page)!;
  inode.filemap.drop(added);
  return refusal;
}

/** The page as its first user finds it: zero, and so is all of its folio. */
export function getZeroedFolio(inode: GuestMemfdInode, page: number): Folio | number {
  const folio = getFolio(inode, page);
  if (typeof folio === 'number') return folio;
  if (isPoisoned(inode, page)) return -errno.EHWPOISON;
  zeroUndefined(inode, page);
  return folio;
}

/** One broken page spoils the folio it is in, as its head page says so. */
function isPoisoned(inode: GuestMemfdInode, page: number): boolean {
  const { start, end } = inode.filemap.folioRange(page);
  for (const [, folio] of inode.filemap.within(start, end)) if (folio.poisoned) return true;
  return false;
}

/** Zeroes what nobody has used yet of the folio with this page. */
function zeroUndefined(inode: GuestMemfdInode, page: number): void {
  const { start, end } = inode.filemap.folioRange(page);
  if (inode.uptodate.isAll(start, end, true)) return;
  for (const run of inode.uptodate.within(start, end)) if (!run.value) inode.zero(run);
  inode.uptodate.set(start, end, true);
}
