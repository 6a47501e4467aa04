/** A process's fds. */

import { errno } from '../../abi/errno.ts';
import type { MockFile } from './file.ts';

/** RLIMIT_NOFILE, as most distributions set the soft limit. */
const LIMIT = 1024;
/** 0, 1 and 2 are taken in any process. */
const FIRST = 3;

export class FdTable {
  readonly #files = new Map<number, MockFile>();

  get size(): number {
    return this.#files.size;
  }

  get(fd: number): MockFile | undefined {
    return this.#files.get(fd);
  }

  /** Whether another fd can be had: what get_unused_fd_flags() finds out before anything is made. */
  get isFull(): boolean {
    return this.#files.size >= LIMIT - FIRST;
  }

  /** The lowest free fd, or -EMFILE. */
  install(file: MockFile): number {
    if (this.isFull) return -errno.EMFILE;
    let fd = FIRST;
    while (this.#files.has(fd)) fd++;
    this.#files.set(fd, file.get());
    return fd;
  }

  close(fd: number): number {
    const file = this.#files.get(fd);
    if (!file) return -errno.EBADF;
    this.#files.delete(fd);
    file.put();
    return 0;
  }

  closeAll(): void {
    for (const fd of [...this.#files.keys()]) this.close(fd);
  }
}
