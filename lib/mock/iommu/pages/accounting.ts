/** RLIMIT_MEMLOCK: what a process's pinned pages count against, in the two ways that iommufd and type1 do it. */

import { errno } from '../../../abi/errno.ts';

/** `none`: a process with CAP_IPC_LOCK. `user`: all the user's processes together. `mm`: the process, as mlock does. */
export type AccountMode = 'none' | 'user' | 'mm';

export class LockedMemory {
  /** RLIMIT_MEMLOCK in pages; undefined for a process that has CAP_IPC_LOCK. */
  readonly limit: number | undefined;
  readonly #locked = { user: 0, mm: 0 };
  #pinned = 0;
  #peak = 0;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  /** VmPin, in pages. */
  get pinned(): number {
    return this.#pinned;
  }

  /** The most there have been at once. */
  get peakPinned(): number {
    return this.#peak;
  }

  /** VmLck, in pages. */
  get locked(): number {
    return this.#locked.mm;
  }

  /** How an iommufd's new pages are counted; `perProcess` is its IOMMU_OPTION_RLIMIT_MODE. */
  mode(perProcess: boolean): AccountMode {
    if (this.limit === undefined) return 'none';
    return perProcess ? 'mm' : 'user';
  }

  /** More pinned pages: 0, or -ENOMEM beyond the limit. */
  charge(mode: AccountMode, pages: number): number {
    if (pages === 0) return 0;
    if (mode !== 'none') {
      if (this.#locked[mode] + pages > (this.limit ?? Number.POSITIVE_INFINITY)) return -errno.ENOMEM;
      this.#locked[mode] += pages;
    }
    this.#pinned += pages;
    this.#peak = Math.max(this.#peak, this.#pinned);
    return 0;
  }

  uncharge(mode: AccountMode, pages: number): void {
    if (mode !== 'none') this.#locked[mode] -= pages;
    this.#pinned -= pages;
  }

  /** vfio_lock_acct(): type1 counts locked pages also where it may exceed the limit, and no pinned ones. */
  lock(pages: number): number {
    if (this.#locked.mm + pages > (this.limit ?? Number.POSITIVE_INFINITY)) return -errno.ENOMEM;
    this.#locked.mm += pages;
    return 0;
  }

  unlock(pages: number): void {
    this.#locked.mm -= pages;
  }
}
