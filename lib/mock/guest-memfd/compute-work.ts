/** kvm_gmem_convert_compute_work(): what there is to do. */

import type { PageRange } from '../ranges.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';

/** The longest parts of the range that are not yet in the wanted state, in file order; undefined without memory. */
export function computeWork(inode: GuestMemfdInode, range: PageRange, to: Shareability): PageRange[] | undefined {
  const work: PageRange[] = [];
  for (const run of inode.shareability.within(range.start, range.end)) {
    if (run.value === to) continue;
    if (inode.faults.failsNow('work-list')) return undefined;
    work.push({ start: run.start, end: run.end });
  }
  return work;
}
