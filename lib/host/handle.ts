/**
 * Ownership of one thing the kernel gave: who may use it, and when it goes. Every fd, every mapping and the host itself
 * has one handle; typed objects are faces over it.
 */

import { isMockHostCrashedError } from '../syscalls/host-crashed.ts';
import type { FailedCall } from './errors.ts';
import { ClosedError, KernelError } from './errors.ts';

type State = 'open' | 'closing' | 'closed';

/** What goes when its owner goes, and must not go earlier. */
export interface Dependent {
  /** The owner wants to close: end what would keep it waiting. */
  hurry(): void;
  /** Nothing uses the owner any more; it closes next. */
  release(): Promise<void>;
}

export class Handle {
  /** For messages: "GuestMemfd (fd 7)". */
  readonly title: string;
  readonly #release: () => Promise<void>;
  readonly #mayBeRefused: boolean;
  #state: State = 'open';
  #uses = 0;
  #unused: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #dependent: Dependent | undefined;

  /** `mayBeRefused`: what `release` throws leaves it as it was, open; else it is gone all the same. */
  constructor(title: string, release: () => Promise<void>, { mayBeRefused = false } = {}) {
    this.title = title;
    this.#release = release;
    this.#mayBeRefused = mayBeRefused;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether it is gone, and not only refused. */
  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** @throws ClosedError */
  checkOpen(): void {
    if (this.#state !== 'open') throw new ClosedError(this.title);
  }

  /**
   * Keeps it open while `work` runs: a close that is asked for meanwhile waits. Without this an fd that is only an
   * argument of another fd's call could be closed, and its number taken by another file, before the kernel looks it up.
   */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** Gives it something to take along when it closes. */
  attach(dependent: Dependent): void {
    this.#dependent = dependent;
  }

  /** The two halves of `use`, for calls that are made by the thousand. @throws ClosedError */
  enter(): void {
    this.checkOpen();
    this.#uses += 1;
  }

  leave(): void {
    this.#uses -= 1;
    if (this.#uses === 0) this.#unused?.();
  }

  /** From here on every use is refused; what is under way goes on. */
  refuse(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#dependent?.hurry();
  }

  /** Closes once, after what is under way. A second close is the first one, or nothing when that is over. */
  close(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve();
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    this.refuse();
    if (this.#uses > 0) {
      await new Promise<void>((resolve) => {
        this.#unused = resolve;
      });
    }
    try {
      await this.#dependent?.release();
      await this.#release();
    } catch (error) {
      // Everything went with the host.
      if (isMockHostCrashedError(error)) {
        this.#state = 'closed';
        return;
      }
      // close(2) frees the number whatever it answers: a second try could close somebody else's file.
      this.#state = this.#mayBeRefused ? 'open' : 'closed';
      this.#closing = undefined;
      throw error;
    }
    this.#state = 'closed';
  }
}

/** Turns the answer of a close or munmap into an error. */
export function checkReleased(call: FailedCall, ret: number): void {
  if (ret < 0) throw new KernelError(call, ret);
}
