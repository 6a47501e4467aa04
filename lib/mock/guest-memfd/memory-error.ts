/**
 * A page of the file breaks: mm/memory-failure.c, and virt/kvm/guest_memfd.c, kvm_gmem_error_folio(). It stays where it
 * is, with a reference that nobody drops, so that it can be shared, punched away, and never be made private again.
 */

import type { Folio } from '../memory.ts';
import type { GuestMemfdInode } from './inode.ts';
import { invalidateBegin, invalidateEnd, unmapClients } from './invalidate.ts';

export function memoryError(inode: GuestMemfdInode, page: number, folio: Folio): void {
  if (folio.poisoned) return;
  folio.poisoned = true;
  inode.pin(folio);
  const range = { start: page, end: page + 1 };
  inode.unmapHost(range, 'memory-error');
  invalidateBegin(inode, range, 'memory-error');
  unmapClients(inode, range, 'both', 'memory-error');
  invalidateEnd(inode, range, 'memory-error');
}
