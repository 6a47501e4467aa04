/** eventfd(2): fs/eventfd.c. A read that would block answers EAGAIN, since one thread is all the mock has. */

import { errno } from '../../abi/errno.ts';
import { EFD_SEMAPHORE, PAGE_SIZE } from '../../abi/linux.ts';
import type { Stat } from '../../syscalls/seam.ts';
import { MockFile } from './file.ts';

const MAX = 0xffff_ffff_ffff_fffen;

export class EventFile extends MockFile {
  readonly #semaphore: boolean;
  #count: bigint;

  constructor(initial: number, flags: number) {
    super();
    this.#count = BigInt(initial);
    this.#semaphore = (flags & EFD_SEMAPHORE) !== 0;
  }

  stat(): Stat {
    return { ino: 1n, mode: 0o600, nlink: 1, size: 0n, blksize: PAGE_SIZE, blocks: 0n };
  }

  override get noExec(): boolean {
    return true;
  }

  override read(bytes: Uint8Array): number {
    if (bytes.length < 8) return -errno.EINVAL;
    if (this.#count === 0n) return -errno.EAGAIN;
    const taken = this.#semaphore ? 1n : this.#count;
    this.#count -= taken;
    viewOf(bytes).setBigUint64(0, taken, true);
    return 8;
  }

  override write(bytes: Uint8Array): number {
    if (bytes.length < 8) return -errno.EINVAL;
    const added = viewOf(bytes).getBigUint64(0, true);
    if (added > MAX) return -errno.EINVAL;
    if (added > MAX - this.#count) return -errno.EAGAIN;
    this.#count += added;
    return 8;
  }

  /** eventfd_signal(): the kernel counts one more. */
  signal(): void {
    if (this.#count < MAX) this.#count++;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
