/** The base of every typed object: a face over one handle. */

import { type InspectOptions, inspect } from 'node:util';
import type { Context } from './context.ts';
import type { OwnedFd } from './fd.ts';
import type { Handle } from './handle.ts';
import { watchForLeak } from './leaks.ts';

export abstract class Resource<H extends Handle = Handle> {
  // Not enumerable: what a report prints of an object is what it is, not what it hangs on.
  /** @internal */
  declare protected readonly context: Context;
  /** @internal */
  declare protected readonly handle: H;

  constructor(context: Context, handle: H) {
    Object.defineProperty(this, 'context', { value: context });
    Object.defineProperty(this, 'handle', { value: handle });
    watchForLeak(this, handle);
  }

  /** Whether close() was called, on it or on its host. */
  get closed(): boolean {
    return !this.handle.isOpen;
  }

  /**
   * Closes it after the calls in flight. Closing twice does nothing; concurrent closes are one.
   * A KernelError here means that the kernel reported something at the last moment; it is closed all the same.
   */
  close(): Promise<void> {
    return this.context.close(this.handle);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    const title = this.closed ? `${this.handle.title}, closed` : this.handle.title;
    return depth < 0 ? `[${title}]` : `${title} ${inspect({ ...this }, { ...options, depth })}`;
  }
}

/** A typed object over one file. */
export abstract class FdResource extends Resource<OwnedFd> {
  /** The file descriptor's number. It stays this object's: use it, do not close it. @throws ClosedError */
  get fd(): number {
    this.handle.checkOpen();
    return this.handle.number;
  }

  /** Runs what makes a new object from the file: neither it nor the host closes meanwhile. @internal */
  protected create<T>(work: (fd: number) => Promise<T>): Promise<T> {
    return this.handle.use(() => this.context.handle.use(() => work(this.handle.number)));
  }
}
