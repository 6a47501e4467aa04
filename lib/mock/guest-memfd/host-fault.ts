/** A process touches its mapping of the file: virt/kvm/guest_memfd.c, kvm_gmem_fault_shared(). */

import { errno } from '../../abi/errno.ts';
import type { Folio } from '../memory.ts';
import { getZeroedFolio } from './get-folio.ts';
import type { GuestMemfdInode } from './inode.ts';

/**
 * Only shared pages inside the file. Everything else is SIGBUS, which copies see as EFAULT; so do they where there is
 * no memory, and only a populating madvise says ENOMEM.
 */
export function hostFault(inode: GuestMemfdInode, page: number): Folio | number {
  if (page >= inode.pages || inode.shareability.get(page) !== 'shared') return -errno.EFAULT;
  return getZeroedFolio(inode, page);
}
