/** Failures planned by a test: which allocation fails, who holds a page for a moment, when a signal arrives. */

import { checkInteger, checkOneOf } from '../abi/invalid.ts';

/** What the kernel allocates: a page of memory, a node of the shareability tree, a conversion's work list, an inode. */
export type AllocationPoint = 'page' | 'tree-node' | 'work-list' | 'inode' | 'memslot';

const POINTS: readonly AllocationPoint[] = ['page', 'tree-node', 'work-list', 'inode', 'memslot'];

interface Countdown {
  readonly point: AllocationPoint | undefined;
  left: number;
}

export class Faults {
  #failing: Countdown[] = [];
  #transient = new Map<object, number>();
  #interruptAfter: number | undefined;
  #allocations = 0;

  /** Allocations made since the last reset: how far a sweep over "the nth fails" has to go. */
  get allocations(): number {
    return this.#allocations;
  }

  /** The nth allocation from now (1 is the next), of this kind where one is given, answers ENOMEM. */
  failAllocation(nth: number, point?: AllocationPoint): void {
    checkInteger('nth', nth, 1, Number.MAX_SAFE_INTEGER);
    if (point !== undefined) checkOneOf('point', point, POINTS);
    this.#failing.push({ point, left: nth });
  }

  /** A signal arrives in the next fallocate after it has allocated this many pages. */
  interruptAllocate(afterPages: number): void {
    this.#interruptAfter = checkInteger('afterPages', afterPages, 0, Number.MAX_SAFE_INTEGER);
  }

  /** Forgets all plans. */
  reset(): void {
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

  /** For the mock: whether a signal is pending after so many pages of the fallocate under way. */
  interruptsAfter(pages: number): boolean {
    if (this.#interruptAfter !== pages) return false;
    this.#interruptAfter = undefined;
    return true;
  }
}
