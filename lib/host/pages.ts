/** Whole pages: what the typed API asks of every size and position in guest memory. */

import { checkBigint, outOfRange } from '../abi/invalid.ts';
import { PAGE_SIZE } from '../abi/linux.ts';

/** What a kernel with larger pages refuses beyond this, it refuses itself. */
export function checkPages(what: string, value: unknown, min: bigint, max: bigint): bigint {
  const big = checkBigint(what, value, min, max);
  if (big % BigInt(PAGE_SIZE) !== 0n) throw outOfRange(what, `a multiple of ${PAGE_SIZE}, the page size`, value);
  return big;
}
