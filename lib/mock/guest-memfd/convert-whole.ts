/**
 * KVM_SET_MEMORY_ATTRIBUTES2 on a guest_memfd, after validation: "guest_memfd: In-place conversion support" v13.
 * Unlike the RFC of 2025 it takes the range as a whole: when any page differs, all of it is unmapped and checked, and
 * guest mappings go only once nothing can fail any more.
 */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import { type Conversion, reasonFor } from './conversion.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';
import { invalidateBegin, invalidateEnd, unmapClients } from './invalidate.ts';
import { checkReferences } from './references.ts';

export function convertWholeRange(inode: GuestMemfdInode, range: PageRange, to: Shareability): Conversion {
  if (inode.shareability.isAll(range.start, range.end, to)) return { result: 0 };
  if (inode.faults.failsNow('tree-node')) return { result: -errno.ENOMEM };

  const reason = reasonFor(to);
  if (to === 'private') {
    inode.unmapHost(range, reason);
    const heldPage = checkReferences(inode, range);
    if (heldPage !== undefined) return { result: -errno.EAGAIN, heldPage };
  }
  invalidateBegin(inode, range, reason);
  unmapClients(inode, range, to === 'private' ? 'shared' : 'private', reason);
  inode.shareability.set(range.start, range.end, to);
  inode.record('set-shareability', range, { detail: to });
  invalidateEnd(inode, range, reason);
  return { result: 0 };
}
