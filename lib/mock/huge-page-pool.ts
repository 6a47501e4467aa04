/** The host's huge pages of one size, and who has them set aside: mm/hugetlb.c, hstate and hugepage_subpool. */

import { errno } from '../abi/errno.ts';
import { type HugePageSize, hugePageBytes } from '../abi/huge-pages.ts';
import type { Faults } from './faults.ts';
import { PAGE_SHIFT } from './ranges.ts';

export class HugePagePool {
  /** Bytes of one huge page. */
  readonly size: number;
  /** nr_hugepages: all of them. */
  total: number;
  /** free_hugepages: not handed out; those that are only reserved count as free. */
  free: number;
  /** resv_hugepages: promised to a file and not handed out yet. */
  reserved = 0;

  constructor(size: number, total: number) {
    this.size = size;
    this.total = total;
    this.free = total;
  }

  /**
   * Sets pages aside for a file: hugepage_new_subpool(). -ENOMEM when fewer are left; none is ever taken from ordinary
   * memory, since nr_overcommit_hugepages is 0.
   */
  reserve(pages: number, faults: Faults): Reservation | number {
    if (faults.failsNow('reservation') || this.reserved + pages > this.free) return -errno.ENOMEM;
    this.reserved += pages;
    return new Reservation(this, pages);
  }

  /** What writing to nr_hugepages does: pages in use or promised stay. */
  resize(total: number): void {
    const kept = Math.max(total, this.total - this.free + this.reserved);
    this.free += kept - this.total;
    this.total = kept;
  }
}

/** The pools of the sizes that x86-64 has. */
export type PoolSize = Extract<HugePageSize, '2M' | '1G'>;
export type HugePagePools = ReadonlyMap<PoolSize, HugePagePool>;

/** default_hstate: what a size field of 0 stands for. */
export const DEFAULT_POOL_SIZE: PoolSize = '2M';

export const makePools = (totals: Readonly<Record<PoolSize, number>>): HugePagePools =>
  new Map(poolSizes.map((size) => [size, new HugePagePool(Number(hugePageBytes(size)), totals[size])]));

export const poolSizes: readonly PoolSize[] = ['2M', '1G'];

/** One file's share of a pool. What the file gives back is promised to it again, as long as it lives. */
export class Reservation {
  readonly #pool: HugePagePool;
  readonly #pages: number;
  #used = 0;
  #open = true;

  constructor(pool: HugePagePool, pages: number) {
    this.#pool = pool;
    this.#pages = pages;
  }

  /** How many pages of 4 KiB make up one huge page. */
  get pagesPerFolio(): number {
    return this.#pool.size >> PAGE_SHIFT;
  }

  /** Takes one huge page: 0, or -ENOMEM beyond what was reserved. */
  allocate(): number {
    if (this.#used === this.#pages) return -errno.ENOMEM;
    this.#used++;
    this.#pool.free--;
    this.#pool.reserved--;
    return 0;
  }

  free(): void {
    this.#used--;
    this.#pool.free++;
    this.#pool.reserved++;
    this.#release();
  }

  /** The file is gone. What its pages' last users still hold keeps the whole reservation. */
  close(): void {
    this.#open = false;
    this.#release();
  }

  #release(): void {
    if (!this.#open && this.#used === 0) this.#pool.reserved -= this.#pages;
  }
}
