/** Which pages of a memory are shared and which private, as runs in bytes. */

import { PAGE_SIZE } from '../abi/linux.ts';
import type { PageState } from '../guest-memfd/index.ts';
import { RangeMap } from '../ranges/index.ts';

/** Neighbouring pages of one state, in bytes from the start of the memory. */
export interface StateRun {
  readonly offset: bigint;
  readonly size: bigint;
  readonly state: PageState;
}

/** Where a run is, as a range of its own. */
export const rangeOf = ({ offset, size }: StateRun): { offset: bigint; size: bigint } => ({ offset, size });

const bytes = (pages: number): bigint => BigInt(pages) * BigInt(PAGE_SIZE);
const pages = (offset: bigint): number => Number(offset / BigInt(PAGE_SIZE));

export class PageStates {
  readonly #states: RangeMap<PageState>;

  constructor(initially: PageState) {
    this.#states = new RangeMap(initially);
  }

  set(start: bigint, end: bigint, state: PageState): void {
    this.#states.set(pages(start), pages(end), state);
  }

  /** The runs that touch [start, end), clipped to it. */
  within(start: bigint, end: bigint): StateRun[] {
    return this.#states.within(pages(start), pages(end)).map((run) => ({
      offset: bytes(run.start),
      size: bytes(run.end - run.start),
      state: run.value,
    }));
  }
}
