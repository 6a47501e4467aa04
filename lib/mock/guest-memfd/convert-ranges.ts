/**
 * KVM_GMEM_CONVERT_SHARED and _PRIVATE, after validation: "1G page support for guest_memfd" RFC v2, patches 04 and 38,
 * kvm_gmem_convert_range(). The steps, each with a file of its own:
 *
 * 1. `compute-work.ts`: which parts of the range are not in the wanted state yet. Nothing else is touched.
 * 2. `invalidate.ts`, begin: from here on no client installs a translation, for all of a huge page that is touched.
 * 3. `should-proceed.ts`: who loses access lets go of exactly the part: clients of private memory on the way to
 *    shared; clients and processes on the way to private, after which nobody may hold a page.
 * 4. `execute-work.ts`: the new state is stored, then huge pages are split, or merged, as it demands.
 * 5. `invalidate.ts`, end: clients may install translations again.
 *
 * Each step is done for all parts before the next begins: every begin precedes every check, and every check precedes
 * every change of state.
 */

import { errno } from '../../abi/errno.ts';
import type { PageRange } from '../ranges.ts';
import { computeWork } from './compute-work.ts';
import { type Conversion, reasonFor } from './conversion.ts';
import { executeWork } from './execute-work.ts';
import type { GuestMemfdInode, Shareability } from './inode.ts';
import { invalidateBegin, invalidateEnd, widened } from './invalidate.ts';
import { shouldProceed } from './should-proceed.ts';

export function convertDifferingRanges(inode: GuestMemfdInode, range: PageRange, to: Shareability): Conversion {
  const work = computeWork(inode, range, to);
  if (work === undefined) return { result: -errno.ENOMEM };
  if (work.length === 0) return { result: 0 };

  const reason = reasonFor(to);
  for (const item of work) invalidateBegin(inode, widened(inode, item), reason);
  const outcome = shouldProceed(inode, work, to) ?? executeWork(inode, work, to);
  for (const item of work) invalidateEnd(inode, widened(inode, item), reason);
  return outcome;
}
