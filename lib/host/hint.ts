/** A row of the hint tables. */

import type { ErrnoName } from '../abi/errno.ts';

export interface Hint {
  /** The ioctls, their commands or system calls it is for; every call when left out. */
  readonly on?: readonly string[];
  readonly code: ErrnoName;
  readonly text: string;
}
