/**
 * Things that lie over ranges of pages and may overlap: who holds which pages, which mapping shows them.
 * As in a RangeMap, memory and time follow the number of ranges and how deep they overlap, not the number of pages.
 */

import { RangeMap, type Run } from '../ranges/index.ts';
import type { PageRange } from './ranges.ts';

const NONE: readonly never[] = [];

export class OverlapMap<T> {
  readonly #lists = new RangeMap<readonly T[]>(NONE);

  /** Whether nothing lies anywhere: the common case, which costs nothing. */
  get isEmpty(): boolean {
    return this.#lists.runs === 1 && this.#lists.get(0).length === 0;
  }

  add({ start, end }: PageRange, item: T): void {
    for (const run of this.#lists.within(start, end)) this.#lists.set(run.start, run.end, [...run.value, item]);
  }

  /** Takes the item off these pages; where it does not lie, nothing happens. */
  remove({ start, end }: PageRange, item: T): void {
    for (const run of this.#lists.within(start, end)) {
      if (!run.value.includes(item)) continue;
      const left = run.value.filter((other) => other !== item);
      this.#lists.set(run.start, run.end, left.length === 0 ? NONE : left);
    }
  }

  at(page: number): readonly T[] {
    return this.#lists.get(page);
  }

  /** The runs of [start, end) on which something lies, ascending. */
  within({ start, end }: PageRange): Run<readonly T[]>[] {
    return this.isEmpty ? [] : this.#lists.within(start, end).filter((run) => run.value.length > 0);
  }

  /** Everything that lies on some page of the range, once each, in the order of the first page it lies on. */
  items(range: PageRange): Set<T> {
    return new Set(this.within(range).flatMap((run) => run.value));
  }
}
