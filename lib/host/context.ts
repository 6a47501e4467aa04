/** What the objects of one host share: the backend, what was probed, and the list of what is open. */

import type { Syscalls } from '../syscalls/seam.ts';
import { OwnedFd } from './fd.ts';
import type { Features } from './features.ts';
import { Handle } from './handle.ts';

export class Context {
  readonly syscalls: Syscalls;
  readonly features: Features;
  /** The host's own handle; it closes everything below. */
  readonly handle: Handle;
  /** In order of creation. */
  readonly #open = new Set<Handle>();

  constructor(syscalls: Syscalls, features: Features) {
    this.syscalls = syscalls;
    this.features = features;
    this.handle = new Handle('Host', () => this.#closeAll());
  }

  /** Takes over an fd that the kernel just gave. */
  own(what: string, fd: number): OwnedFd {
    return this.adopt(new OwnedFd(this.syscalls, what, fd));
  }

  adopt<H extends Handle>(handle: H): H {
    this.#open.add(handle);
    // The host was asked to close while this was being made: it is on the list, and nobody gets to use it.
    if (!this.handle.isOpen) handle.refuse();
    return handle;
  }

  /** Closes one, and takes it off the list. */
  async close(handle: Handle): Promise<void> {
    try {
      await handle.close();
    } finally {
      if (!handle.isOpen) this.#open.delete(handle);
    }
  }

  /** The handle of an fd that this host owns. One just closed does not count: its number may be another file's by now. */
  find(fd: number): OwnedFd | undefined {
    for (const handle of this.#open) {
      if (handle instanceof OwnedFd && handle.number === fd && !handle.isClosed) return handle;
    }
    return undefined;
  }

  /** Closes the host: everything is refused from now on, and closed last first once what is under way is over. */
  closeHost(): Promise<void> {
    for (const handle of this.#open) handle.refuse();
    return this.handle.close();
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const handle of [...this.#open].reverse()) {
      try {
        await this.close(handle);
      } catch (error) {
        errors.push(error);
      }
    }
    this.syscalls.dispose();
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} things did not close`);
  }
}
