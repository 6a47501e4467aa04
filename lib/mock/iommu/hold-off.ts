/**
 * Nobody installs a translation of memory whose state is being changed. The kernel's map waits for the change to be
 * over. The mock has one thread: an asynchronous call is made again then; a synchronous one cannot wait for what it
 * interrupts, and answers EAGAIN.
 */

import type { PageRange } from '../ranges.ts';
import type { Pages } from './pages/pages.ts';

/** Puts it on record that somebody must wait, and answers RESTART. */
export type HoldsOff = (range: PageRange, settled: Promise<void>) => number;

/** 0, or RESTART where a range of the memory is being changed. */
export function holdOff(pages: Pages, range: PageRange, hold: HoldsOff): number {
  let wake: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    wake = resolve;
  });
  return pages.isChanging(range, () => wake()) ? hold(range, settled) : 0;
}
