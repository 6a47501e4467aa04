/** Failures planned by a test: which allocation fails, who holds a page for a moment, when a signal arrives. */

import { checkInteger, checkOneOf } from '../abi/invalid.ts';

/** What the kernel allocates, by name. */
export const allocationPoints = [
  /** A page of memory. */
  'page',
  /** A node of the page cache, when a folio enters it. */
  'filemap',
  /** A node of the shareability tree, or of a VM's memory attributes. */
  'tree-node',
  /** An entry of a conversion's work list. */
  'work-list',
  /** An inode with its file. */
  'inode',
  /** A file's share of a huge page pool. */
  'reservation',
  /** What is kept of a huge page while it is split: guestmem_hugetlb_stash_metadata(). */
  'split-metadata',
  /** The page structs of a huge page that is split: hugetlb_vmemmap_restore_folio(). */
  'split-vmemmap',
  'memslot',
  'vm',
  'vcpu',
  /** A mapping of a process. */
  'vma',
  /** Pages of a VM's second-level page table. */
  'stage-2',
] as const;

export type AllocationPoint = (typeof allocationPoints)[number];

interface Countdown {
  readonly point: AllocationPoint | undefined;
  left: number;
}

export class Faults {
  #failing: Countdown[] = [];
  #transient = new Map<object, number>();
  #interruptAfter: number | undefined;
  #allocations = 0;
  #seamcallsLeft = 0;

  /** Allocations made since the last reset: how far a sweep over "the nth fails" has to go. */
  get allocations(): number {
    return this.#allocations;
  }

  /** The nth allocation from now (1 is the next), of this kind where one is given, answers ENOMEM. */
  failAllocation(nth: number, point?: AllocationPoint): void {
    checkInteger('nth', nth, 1, Number.MAX_SAFE_INTEGER);
    if (point !== undefined) checkOneOf('point', point, allocationPoints);
    this.#failing.push({ point, left: nth });
  }

  /** A signal arrives in the next fallocate after it has allocated this many pages. */
  interruptAllocate(afterPages: number): void {
    this.#interruptAfter = checkInteger('afterPages', afterPages, 0, Number.MAX_SAFE_INTEGER);
  }

  /** The nth SEAMCALL from now (1 is the next) that takes a page out of a TD fails: KVM kills the VM. */
  failSeamcall(nth: number): void {
    this.#seamcallsLeft = checkInteger('nth', nth, 1, Number.MAX_SAFE_INTEGER);
  }

  /** Forgets all plans. */
  reset(): void {
    this.#seamcallsLeft = 0;
    this.#failing = [];
    this.#transient.clear();
    this.#interruptAfter = undefined;
    this.#allocations = 0;
  }

  /** For the mock: someone else holds this folio during its next `attempts` reference checks. */
  holdFor(folio: object, attempts: number): void {
    this.#transient.set(folio, attempts);
  }

  /** For the mock: how many passing references a check finds on this folio. */
  passingReferences(folio: object): number {
    const left = this.#transient.get(folio) ?? 0;
    if (left > 1) this.#transient.set(folio, left - 1);
    else this.#transient.delete(folio);
    return left > 0 ? 1 : 0;
  }

  /** For the mock: whether this SEAMCALL fails. */
  failsSeamcall(): boolean {
    return this.#seamcallsLeft > 0 && --this.#seamcallsLeft === 0;
  }

  /** For the mock: whether this allocation fails. */
  failsNow(point: AllocationPoint): boolean {
    this.#allocations++;
    let fails = false;
    for (const plan of this.#failing) {
      if ((plan.point === undefined || plan.point === point) && --plan.left === 0) fails = true;
    }
    if (fails) this.#failing = this.#failing.filter((plan) => plan.left > 0);
    return fails;
  }

  /** For the mock: whether a signal has come by the time that the fallocate under way has allocated so many pages. */
  interruptsBy(pages: number): boolean {
    if (this.#interruptAfter === undefined || this.#interruptAfter > pages) return false;
    this.#interruptAfter = undefined;
    return true;
  }
}
