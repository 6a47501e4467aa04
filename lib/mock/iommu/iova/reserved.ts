/** Addresses a device must not be given: outside its page table's aperture, or special to the platform. They may overlap. */

import { U64_MAX } from '../../../abi/invalid.ts';
import type { Interval } from './interval-map.ts';

interface Reserved extends Interval {
  /** Who asked for it: a domain, a device, or a test. */
  readonly owner: object;
}

export class ReservedRanges {
  #ranges: Reserved[] = [];

  add(start: bigint, last: bigint, owner: object): void {
    this.#ranges.push({ start, last, owner });
    this.#ranges.sort((a, b) => (a.start < b.start ? -1 : Number(a.start > b.start)));
  }

  removeOwner(owner: object): void {
    this.#ranges = this.#ranges.filter((range) => range.owner !== owner);
  }

  intersects(start: bigint, last: bigint): boolean {
    return this.#ranges.some((range) => range.start <= last && range.last >= start);
  }

  /** What is left of [start, last], ascending. */
  *holes(start = 0n, last = U64_MAX): Generator<Interval> {
    let from = start;
    for (const range of this.#ranges) {
      if (range.last < from) continue;
      if (range.start > last) break;
      if (range.start > from) yield { start: from, last: range.start - 1n };
      from = range.last + 1n;
      if (from > last) return;
    }
    if (from <= last) yield { start: from, last };
  }
}
