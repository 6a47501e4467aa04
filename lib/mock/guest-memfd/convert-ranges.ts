/**
 * KVM_GMEM_CONVERT_SHARED and _PRIVATE, after validation: "1G page support for guest_memfd" RFC v2, patches 04 and 38,
 * kvm_gmem_convert_range(). Only the parts whose state differs are touched, in three passes over all of them:
 * every begin precedes every check, and every check precedes every change of state.
 */

import { errno } from '../../abi/errno.ts';
import type { Reason } from '../journal.ts';
import type { PageRange } from '../ranges.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';
import { invalidateBegin, invalidateEnd, unmapClients } from './invalidate.ts';
import { checkReferences } from './references.ts';

export interface Conversion {
  /** 0 or -errno. */
  readonly result: number;
  /** On EAGAIN, the first page that somebody holds. */
  readonly heldPage?: number;
}

export const reasonFor = (to: Shareability): Reason => (to === 'shared' ? 'convert-to-shared' : 'convert-to-private');

export function convertDifferingRanges(inode: GuestMemfdInode, range: PageRange, to: Shareability): Conversion {
  const work = differingRanges(inode, range, to);
  if (work.length === 0) return { result: 0 };
  if (inode.faults.failsNow('work-list')) return { result: -errno.ENOMEM };

  const reason = reasonFor(to);
  for (const item of work) invalidateBegin(inode, item, reason);
  const outcome = letGo(inode, work, to) ?? changeState(inode, work, to);
  for (const item of work) invalidateEnd(inode, item, reason);
  return outcome;
}

/** compute_work: the maximal parts of the range that are not yet in the wanted state. */
function differingRanges(inode: GuestMemfdInode, range: PageRange, to: Shareability): PageRange[] {
  const differing: PageRange[] = [];
  for (const run of inode.shareability.within(range.start, range.end)) {
    if (run.value !== to) differing.push({ start: run.start, end: run.end });
  }
  return differing;
}

/** should_proceed for every item, until one cannot. What was unmapped by then stays so and simply faults back in. */
function letGo(inode: GuestMemfdInode, work: readonly PageRange[], to: Shareability): Conversion | undefined {
  for (const item of work) {
    if (to === 'shared') {
      unmapClients(inode, item, 'private', 'convert-to-shared');
      continue;
    }
    unmapClients(inode, item, 'shared', 'convert-to-private');
    inode.unmapHost(item, 'convert-to-private');
    const heldPage = checkReferences(inode, item);
    if (heldPage !== undefined) return { result: -errno.EAGAIN, heldPage };
  }
  return undefined;
}

/** execute_work, and its undoing when the tree has no memory for a later item. */
function changeState(inode: GuestMemfdInode, work: readonly PageRange[], to: Shareability): Conversion {
  for (const [i, item] of work.entries()) {
    if (inode.faults.failsNow('tree-node')) {
      const from: Shareability = to === 'shared' ? 'private' : 'shared';
      for (const done of work.slice(0, i)) store(inode, done, from);
      return { result: -errno.ENOMEM };
    }
    store(inode, item, to);
  }
  return { result: 0 };
}

function store(inode: GuestMemfdInode, range: PageRange, state: Shareability): void {
  inode.shareability.set(range.start, range.end, state);
  inode.record('set-shareability', range, { detail: state });
}
