/** kvm_gmem_convert_should_proceed(): those who lose access let go, and nobody else may hold on. */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import type { Conversion } from './conversion.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';
import { unmapClients } from './invalidate.ts';
import { checkReferences } from './references.ts';

/** Why the conversion must stop; undefined when it may go on. What was unmapped by then simply faults back in. */
export function shouldProceed(
  inode: GuestMemfdInode,
  work: readonly PageRange[],
  to: Shareability,
): Conversion | undefined {
  for (const item of work) {
    const heldPage = to === 'shared' ? leavePrivate(inode, item) : leaveShared(inode, item);
    if (heldPage !== undefined) return { result: -errno.EAGAIN, heldPage };
  }
  return undefined;
}

/** Private memory is the clients' alone, and letting go of it cannot fail. */
function leavePrivate(inode: GuestMemfdInode, item: PageRange): undefined {
  unmapClients(inode, item, 'private', 'convert-to-shared');
}

/** Shared memory may also be mapped by processes, and held by anyone: the page of the first that is. */
function leaveShared(inode: GuestMemfdInode, item: PageRange): number | undefined {
  unmapClients(inode, item, 'shared', 'convert-to-private');
  inode.unmapHost(item, 'convert-to-private');
  return checkReferences(inode, item);
}
