/** A guest_memfd's pages as outsiders get them: through a mapping of it, or by its file where that is allowed. */

import { errno } from '../../abi/errno.ts';
import type { Folio } from '../memory.ts';
import type { PageOwner, Windows } from '../page-windows.ts';
import type { PageRange } from '../ranges.ts';
import { getZeroedFolio } from './get-folio.ts';
import type { GuestMemfdInode } from './inode.ts';

export class InodePages implements PageOwner {
  readonly inode: GuestMemfdInode;

  constructor(inode: GuestMemfdInode) {
    this.inode = inode;
  }

  get windows(): Windows {
    return this.inode.windows;
  }

  /** Who may have it is checked before, for a whole range. */
  page(index: number): Folio | number {
    return getZeroedFolio(this.inode, index);
  }

  present({ start, end }: PageRange): Iterable<readonly [index: number, folio: Folio]> {
    return this.inode.filemap.within(start, end);
  }

  /** What get_user_pages() meets on a mapping: as hostFault(), for all of a range. */
  refuses({ start, end }: PageRange): number {
    const { pages, shareability } = this.inode;
    return end <= pages && shareability.isAll(start, end, 'shared') ? 0 : -errno.EFAULT;
  }

  isChanging(range: PageRange): boolean {
    return this.inode.isChanging(range);
  }

  onceSettled(wake: () => void): void {
    this.inode.onceSettled(wake);
  }
}
