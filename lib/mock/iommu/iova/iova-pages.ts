/** I/O addresses in pages, for the journal. */

import type { PageRange } from '../../ranges.ts';

export const toIovaPages = (start: bigint, last: bigint): PageRange => ({
  start: Number(start >> 12n),
  end: Number(last >> 12n) + 1,
});
