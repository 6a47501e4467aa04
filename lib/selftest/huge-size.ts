/** How large huge pages are, as numbers. */

import { type HugePageSize, hugePageBytes, PAGE_SIZE } from '../abi/index.ts';

/** Bytes. */
export const bytesOf = (size: HugePageSize): number => Number(hugePageBytes(size));

/** Pages of 4 KiB. */
export const pagesOf = (size: HugePageSize): number => bytesOf(size) / PAGE_SIZE;
