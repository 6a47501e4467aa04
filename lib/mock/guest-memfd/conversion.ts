/** What is asked of a conversion, and what comes of it. */

import type { Reason } from '../journal.ts';
import type { Shareability } from './inode.ts';

export interface Conversion {
  /** 0 or -errno. */
  readonly result: number;
  /** On EAGAIN, the first page that somebody holds. */
  readonly heldPage?: number;
}

export const reasonFor = (to: Shareability): Reason => (to === 'shared' ? 'convert-to-shared' : 'convert-to-private');

export const opposite = (state: Shareability): Shareability => (state === 'shared' ? 'private' : 'shared');
