/**
 * Calls that must be made again: the kernel's -ERESTARTSYS, which undoes what a call has begun like any other error and
 * which no process ever sees.
 */

export const RESTART = -512;

/** A call that must be made again once `settled` is. It has changed nothing. */
export class HeldOff extends Error {
  readonly settled: Promise<void>;

  constructor(settled: Promise<void>) {
    super('mock: a call meets memory that is being converted or truncated');
    this.settled = settled;
  }
}

/** What the call that is under way waits for. */
export class Restarts {
  #settled: Promise<void> = Promise.resolve();

  /** Answers what the call has to answer. */
  after(settled: Promise<void>): number {
    this.#settled = settled;
    return RESTART;
  }

  /** @throws HeldOff for an answer that stands for it */
  check(answer: number): number {
    if (answer === RESTART) throw new HeldOff(this.#settled);
    return answer;
  }
}
