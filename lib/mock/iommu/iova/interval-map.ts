/**
 * Intervals of I/O addresses that do not overlap, in order: areas, allowed ranges. `last` is inclusive, as everywhere
 * in iommufd, so that an interval can end with the address space.
 *
 * They lie in chunks of bounded length, so that an update moves one chunk's entries and not the whole list.
 */

const CHUNK = 256;

export interface Interval {
  readonly start: bigint;
  readonly last: bigint;
}

export class IntervalMap<T extends Interval> {
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The first interval that reaches `address` or lies behind it. */
  from(address: bigint): T | undefined {
    const [chunk, i] = this.#find(address);
    return this.#chunks[chunk]?.[i];
  }

  /** The first interval that shares an address with [start, last]. */
  first(start: bigint, last: bigint): T | undefined {
    const found = this.from(start);
    return found && found.start <= last ? found : undefined;
  }

  /** The interval that holds an address. */
  at(address: bigint): T | undefined {
    return this.first(address, address);
  }

  /** Those that share an address with [start, last], ascending. Removing the one in hand is safe. */
  *within(start: bigint, last: bigint): Generator<T> {
    for (let next = this.first(start, last); next; next = this.first(next.last + 1n, last)) {
      yield next;
      if (next.last >= last) return;
    }
  }

  *[Symbol.iterator](): Generator<T> {
    for (const chunk of [...this.#chunks]) yield* [...chunk];
  }

  /** Puts in an interval that overlaps none. */
  add(item: T): void {
    const [at, i] = this.#find(item.start);
    const chunk = this.#chunks[at] ?? this.#chunks.at(-1);
    this.#size++;
    if (!chunk) this.#chunks.push([item]);
    else if (this.#chunks[at]) chunk.splice(i, 0, item);
    else chunk.push(item);
    if (chunk && chunk.length > CHUNK) {
      this.#chunks.splice(this.#chunks.indexOf(chunk) + 1, 0, chunk.splice(CHUNK >> 1));
    }
  }

  delete(item: T): void {
    const [at, i] = this.#find(item.start);
    const chunk = this.#chunks[at];
    if (chunk?.[i] !== item) return;
    chunk.splice(i, 1);
    this.#size--;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Where the first interval with `last` >= address stands: chunk and index in it. */
  #find(address: bigint): [chunk: number, i: number] {
    const at = lowest(this.#chunks, (chunk) => chunk.at(-1)!.last >= address);
    const chunk = this.#chunks[at];
    return [at, chunk ? lowest(chunk, (item) => item.last >= address) : 0];
  }
}

/** The index of the first entry for which `holds` is true, in a list where it stays true from there on. */
function lowest<E>(list: readonly E[], holds: (entry: E) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
