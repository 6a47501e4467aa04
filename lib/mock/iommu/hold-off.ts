/**
 * Nobody installs a translation of memory whose state is being changed. The kernel's map waits for the change to be
 * over. The mock has one thread: an asynchronous call is made again then; a synchronous one cannot wait for what it
 * interrupts, and answers EAGAIN.
 */

import type { PageRange } from '../ranges.ts';
import type { Pages } from './pages/pages.ts';

/** A call that must be made again once `settled` is. It has changed nothing. */
export class HeldOff extends Error {
  readonly settled: Promise<void>;

  constructor(settled: Promise<void>) {
    super('mock: a map meets memory that is being converted or truncated');
    this.settled = settled;
  }
}

/** Throws HeldOff where a range of the memory is being changed, once that is on record. */
export function holdOff(pages: Pages, range: PageRange, record: (range: PageRange) => void): void {
  let wake: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    wake = resolve;
  });
  if (!pages.isChanging(range, () => wake())) return;
  record(range);
  throw new HeldOff(settled);
}
