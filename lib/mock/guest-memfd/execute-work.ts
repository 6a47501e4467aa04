/** kvm_gmem_convert_execute_work(): the change itself, and its undoing when there is no memory for a part of it. */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import { type Conversion, opposite } from './conversion.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';
import { restoreFolios, restructureFolios } from './split-merge.ts';

export function executeWork(inode: GuestMemfdInode, work: readonly PageRange[], to: Shareability): Conversion {
  for (const [i, item] of work.entries()) {
    const result = execute(inode, item, to);
    if (result === 0) continue;
    for (const done of work.slice(0, i)) undo(inode, done, to);
    return { result };
  }
  return { result: 0 };
}

/** The state comes first: whether huge pages must be split, or may be merged, is read from it. */
function execute(inode: GuestMemfdInode, item: PageRange, to: Shareability): number {
  if (inode.faults.failsNow('tree-node')) return -errno.ENOMEM;
  store(inode, item, to);
  const result = restructureFolios(inode, item);
  if (result !== 0) store(inode, item, opposite(to));
  return result;
}

function undo(inode: GuestMemfdInode, item: PageRange, to: Shareability): void {
  store(inode, item, opposite(to));
  restoreFolios(inode, item);
}

function store(inode: GuestMemfdInode, range: PageRange, state: Shareability): void {
  inode.shareability.set(range.start, range.end, state);
  inode.record('set-shareability', range, { detail: state });
}
