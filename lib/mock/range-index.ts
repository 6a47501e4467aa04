/**
 * Things that each lie on a range of pages, found by range: memslots by guest address, by file, by host address. They
 * may overlap. A look-up costs the logarithm of their number and what it finds.
 */

import type { PageRange } from './ranges.ts';

interface Entry<T> {
  readonly range: PageRange;
  readonly value: T;
}

export class RangeIndex<T> {
  /** Ascending by start. */
  readonly #entries: Entry<T>[] = [];
  /** The furthest end among the first i + 1 entries: where a search backwards may stop. */
  readonly #reach: number[] = [];

  add(range: PageRange, value: T): void {
    const at = this.#firstFrom(range.start);
    this.#entries.splice(at, 0, { range, value });
    this.#renew(at);
  }

  delete(value: T): void {
    const at = this.#entries.findIndex((entry) => entry.value === value);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    this.#renew(at);
  }

  /** What lies on pages of [start, end), by ascending start. */
  within(start: number, end: number): T[] {
    const found: T[] = [];
    for (let i = this.#firstFrom(end) - 1; i >= 0 && this.#reach[i]! > start; i--) {
      const { range, value } = this.#entries[i]!;
      if (range.end > start) found.push(value);
    }
    return found.length > 1 ? found.reverse() : found;
  }

  /** The first entry that starts at `page` or behind it. */
  #firstFrom(page: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.range.start < page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #renew(from: number): void {
    this.#reach.length = this.#entries.length;
    for (let i = from; i < this.#entries.length; i++) {
      this.#reach[i] = Math.max(this.#reach[i - 1] ?? 0, this.#entries[i]!.range.end);
    }
  }
}
