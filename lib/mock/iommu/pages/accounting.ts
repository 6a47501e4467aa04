/** RLIMIT_MEMLOCK: what a process's pinned pages count against, in the two ways that iommufd and type1 do it. */

import { errno } from '../../../abi/errno.ts';

/**
 * `none`: iommufd in a process with CAP_IPC_LOCK. `user`: all the user's processes together. `mm`: the process, as
 * mlock does. `type1`: as `mm`, also with CAP_IPC_LOCK, and not as pinned memory.
 */
export type AccountMode = 'none' | 'user' | 'mm' | 'type1';

export class LockedMemory {
  /** RLIMIT_MEMLOCK in pages; undefined for a process that has CAP_IPC_LOCK. */
  readonly limit: number | undefined;
  readonly #locked = { user: 0, mm: 0 };
  #pinned = 0;
  #held = 0;
  #peak = 0;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  /** VmPin, in pages. */
  get pinned(): number {
    return this.#pinned;
  }

  /** VmLck, in pages. */
  get locked(): number {
    return this.#locked.mm;
  }

  /** The most pages there have been at once, however they are counted. */
  get peakPinned(): number {
    return this.#peak;
  }

  /** How an iommufd's new pages are counted; `perProcess` is its IOMMU_OPTION_RLIMIT_MODE. */
  mode(perProcess: boolean): AccountMode {
    if (this.limit === undefined) return 'none';
    return perProcess ? 'mm' : 'user';
  }

  /** More pinned pages: 0, or -ENOMEM beyond the limit. */
  charge(mode: AccountMode, pages: number): number {
    const counter = counterOf(mode);
    if (counter) {
      if (this.#locked[counter] + pages > (this.limit ?? Number.POSITIVE_INFINITY)) return -errno.ENOMEM;
      this.#locked[counter] += pages;
    }
    if (mode !== 'type1') this.#pinned += pages;
    this.#held += pages;
    this.#peak = Math.max(this.#peak, this.#held);
    return 0;
  }

  uncharge(mode: AccountMode, pages: number): void {
    const counter = counterOf(mode);
    if (counter) this.#locked[counter] -= pages;
    if (mode !== 'type1') this.#pinned -= pages;
    this.#held -= pages;
  }
}

function counterOf(mode: AccountMode): 'user' | 'mm' | undefined {
  if (mode === 'none') return undefined;
  return mode === 'user' ? 'user' : 'mm';
}
