/**
 * Something per page, for the pages that have it: the page cache, page tables, stage-2 tables.
 * Pages lie in blocks of 64, so that a walk over a huge and mostly empty range visits only what is there.
 */

const SHIFT = 6;
const BLOCK = 1 << SHIFT;

interface Block<T> {
  readonly slots: (T | undefined)[];
  used: number;
}

export class PageMap<T> {
  readonly #blocks = new Map<number, Block<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(page: number): T | undefined {
    return this.#blocks.get(Math.floor(page / BLOCK))?.slots[page % BLOCK];
  }

  set(page: number, value: T): void {
    const key = Math.floor(page / BLOCK);
    let block = this.#blocks.get(key);
    if (!block) {
      block = { slots: new Array(BLOCK).fill(undefined), used: 0 };
      this.#blocks.set(key, block);
    }
    if (block.slots[page % BLOCK] === undefined) {
      block.used++;
      this.#size++;
    }
    block.slots[page % BLOCK] = value;
  }

  delete(page: number): boolean {
    const key = Math.floor(page / BLOCK);
    const block = this.#blocks.get(key);
    if (block?.slots[page % BLOCK] === undefined) return false;
    block.slots[page % BLOCK] = undefined;
    this.#size--;
    if (--block.used === 0) this.#blocks.delete(key);
    return true;
  }

  /** The pages of [start, end) that are there, ascending. Deleting the one in hand is safe. */
  within(start: number, end: number): Iterable<[page: number, value: T]> {
    return this.#size === 0 ? [] : this.#walk(start, end);
  }

  *#walk(start: number, end: number): Generator<[page: number, value: T]> {
    for (const key of this.#keysWithin(start, end)) {
      const block = this.#blocks.get(key);
      if (!block) continue;
      const first = key * BLOCK;
      for (let i = Math.max(0, start - first); i < BLOCK && first + i < end; i++) {
        const value = block.slots[i];
        if (value !== undefined) yield [first + i, value];
      }
    }
  }

  /** Whichever is shorter: the blocks that could be in the range, or the blocks there are. */
  #keysWithin(start: number, end: number): Iterable<number> {
    if (start >= end) return [];
    const first = Math.floor(start / BLOCK);
    const last = Math.floor((end - 1) / BLOCK);
    if (last - first < this.#blocks.size) return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    return [...this.#blocks.keys()].filter((key) => key >= first && key <= last).sort((a, b) => a - b);
  }
}
