/** A mapping of an IOAS: a slice of pages at an I/O address. */

import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { PageRange } from '../../ranges.ts';
import type { Pages } from '../pages/pages.ts';

const PAGE = BigInt(PAGE_SIZE);

export interface Access {
  readonly read: boolean;
  readonly write: boolean;
}

export class Area {
  readonly start: bigint;
  readonly last: bigint;
  readonly pages: Pages;
  /** Where in `pages` the area begins, in bytes. */
  readonly startByte: bigint;
  readonly access: Access;
  /** Whether its pages are in the page tables of the IOAS's domains. */
  filled = false;
  /** In-kernel users that have taken pages of it, and those among them that forbid to unmap it. */
  accesses = 0;
  locks = 0;
  /** An unmap waits for the in-kernel users: no new ones. */
  closing = false;

  constructor(start: bigint, length: bigint, pages: Pages, startByte: bigint, access: Access) {
    this.start = start;
    this.last = start + length - 1n;
    this.pages = pages;
    this.startByte = startByte;
    this.access = access;
  }

  get length(): bigint {
    return this.last - this.start + 1n;
  }

  /** The offset of its first byte in a page of memory. */
  get pageOffset(): bigint {
    return this.startByte % PAGE;
  }

  /** Where in `pages` an address of the area is, in bytes. */
  byteAt(iova: bigint): bigint {
    return iova - this.start + this.startByte;
  }

  /** The page of `pages` that an address of the area leads to. */
  pageAt(iova: bigint): number {
    return Number(this.byteAt(iova) / PAGE);
  }

  /** The pages of `pages` it needs. */
  get range(): PageRange {
    return { start: this.pageAt(this.start), end: this.pageAt(this.last) + 1 };
  }

  /** The I/O addresses at which the area shows a range of `pages`. */
  addressesOf({ start, end }: PageRange): { start: bigint; last: bigint } {
    const from = this.start + BigInt(start) * PAGE - this.startByte;
    const to = from + BigInt(end - start) * PAGE - 1n;
    return { start: from < this.start ? this.start : from, last: to > this.last ? this.last : to };
  }
}
