/**
 * Who must be told before memory changes hands: KVM's page tables today, the IOMMU next. A client registers with an
 * inode at run time, and the inode calls it; the core imports none of them.
 */

import type { Reason } from '../journal.ts';
import type { PageRange } from '../ranges.ts';

/** Which translations a client must drop: those to memory the host may touch, to private memory, or both. */
export type Filter = 'shared' | 'private' | 'both';

export interface OutsideRange extends PageRange {
  readonly side: 'shared' | 'private';
  /** Whether the client is told of conversions, and so must not go on with the other state. */
  readonly follows: boolean;
}

export interface Client {
  /** From here to the matching end, the client installs no new translation for the range. */
  invalidateBegin(range: PageRange, reason: Reason): void;
  /** Lets go of the range. It cannot fail; what it means to let go is the client's and its platform's affair. */
  unmap(range: PageRange, filter: Filter, reason: Reason): void;
  invalidateEnd(range: PageRange, reason: Reason): void;
  /** Parts of the file that it maps for others than the guest, with the state they were mapped in. */
  outsideRanges?(): Iterable<OutsideRange>;
}
