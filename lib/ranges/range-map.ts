/**
 * A value for every page from 0 on, held as runs: memory and time follow the number of runs, not of pages.
 * The kernel keeps the same thing in a maple tree. Neighbouring runs of equal value are always merged.
 *
 * Runs lie in chunks of bounded length, so that an update moves one chunk's entries and not the whole list.
 */

const CHUNK = 128;

interface Chunk<V> {
  /** First page of each run, ascending; a run ends where the next begins. */
  readonly starts: number[];
  readonly values: V[];
}

export interface Run<V> {
  readonly start: number;
  readonly end: number;
  readonly value: V;
}

export class RangeMap<V> {
  readonly #chunks: Chunk<V>[];
  /** The first start of each chunk once more, side by side: a search that had to open every chunk would wait for memory. */
  readonly #firsts: number[] = [0];
  #runs = 1;

  constructor(initial: V) {
    this.#chunks = [{ starts: [0], values: [initial] }];
  }

  /** How many runs there are; at least 1. */
  get runs(): number {
    return this.#runs;
  }

  get(page: number): V {
    const chunk = this.#chunks[this.#chunkOf(page)]!;
    return chunk.values[lastAtMost(chunk.starts, page)]!;
  }

  /** The runs that touch [start, end), clipped to it, in ascending order. */
  within(start: number, end: number): Run<V>[] {
    const runs: Run<V>[] = [];
    if (start >= end) return runs;
    let at = this.#chunkOf(start);
    let i = lastAtMost(this.#chunks[at]!.starts, start);
    for (let from = start; from < end; ) {
      const chunk = this.#chunks[at]!;
      const value = chunk.values[i]!;
      i++;
      if (i === chunk.starts.length) {
        at++;
        i = 0;
      }
      const next = this.#chunks[at]?.starts[i] ?? Number.POSITIVE_INFINITY;
      const to = Math.min(next, end);
      runs.push({ start: from, end: to, value });
      from = to;
    }
    return runs;
  }

  /** Whether every page of [start, end) has this value. */
  isAll(start: number, end: number, value: V): boolean {
    if (start >= end) return true;
    let at = this.#chunkOf(start);
    let i = lastAtMost(this.#chunks[at]!.starts, start);
    for (let chunk: Chunk<V> | undefined = this.#chunks[at]; chunk; chunk = this.#chunks[++at], i = 0) {
      for (; i < chunk.starts.length; i++) {
        if (chunk.starts[i]! >= end) return true;
        if (chunk.values[i] !== value) return false;
      }
    }
    return true;
  }

  set(start: number, end: number, value: V): void {
    if (start >= end) return;
    const before = start > 0 ? this.get(start - 1) : undefined;
    const after = this.get(end);
    this.#removeStarts(start, end);
    if (after !== value) this.#insert(end, after);
    if (start === 0 || before !== value) this.#insert(start, value);
  }

  #chunkOf(page: number): number {
    let low = 0;
    let high = this.#firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#firsts[middle]! <= page) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Removes the runs that begin in [start, end], both included; a caller puts back what it still needs. */
  #removeStarts(start: number, end: number): void {
    const first = this.#chunkOf(start);
    let emptied = 0;
    let at = first;
    for (; at < this.#chunks.length; at++) {
      const { starts, values } = this.#chunks[at]!;
      if (starts[0]! > end) break;
      const from = starts[0]! >= start ? 0 : lastAtMost(starts, start - 1) + 1;
      const to = lastAtMost(starts, end) + 1;
      if (to <= from) continue;
      starts.splice(from, to - from);
      values.splice(from, to - from);
      this.#runs -= to - from;
      if (starts.length === 0) emptied++;
      else this.#firsts[at] = starts[0]!;
    }
    if (emptied > 0) this.#dropEmpty(first, at);
  }

  #dropEmpty(first: number, last: number): void {
    const kept = this.#chunks.slice(first, last).filter((chunk) => chunk.starts.length > 0);
    if (kept.length === 0 && this.#chunks.length === last - first) kept.push({ starts: [], values: [] });
    this.#chunks.splice(first, last - first, ...kept);
    this.#firsts.splice(first, last - first, ...kept.map(({ starts }) => starts[0] ?? 0));
  }

  #insert(start: number, value: V): void {
    const at = this.#chunks.length === 1 ? 0 : this.#chunkOf(start);
    const chunk = this.#chunks[at]!;
    const i = lastAtMost(chunk.starts, start) + 1;
    chunk.starts.splice(i, 0, start);
    chunk.values.splice(i, 0, value);
    this.#runs++;
    if (i === 0) this.#firsts[at] = start;
    if (chunk.starts.length > CHUNK) this.#split(at, chunk);
  }

  #split(at: number, chunk: Chunk<V>): void {
    const half = CHUNK >> 1;
    const upper = { starts: chunk.starts.splice(half), values: chunk.values.splice(half) };
    this.#chunks.splice(at + 1, 0, upper);
    this.#firsts.splice(at + 1, 0, upper.starts[0]!);
  }
}

/** Index of the last entry <= page in an ascending list; -1 where there is none. */
function lastAtMost(starts: readonly number[], page: number): number {
  let low = -1;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= page) low = middle;
    else high = middle - 1;
  }
  return low;
}
