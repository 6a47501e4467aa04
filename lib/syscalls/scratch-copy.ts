/**
 * Copies to and from memory that may refuse to be touched, as native/copy.cc does and for the same reason: the kernel
 * does the touching, and where a page would raise SIGBUS it stops short with EFAULT.
 */

import { errno } from '../abi/errno.ts';
import { MFD_CLOEXEC } from '../abi/linux.ts';
import type { Libc } from './libc.ts';
import { cString } from './stat.ts';

const CHUNK = 256 * 1024;

/** Bytes, or the address of mapped memory. */
type Place = Uint8Array | bigint;

const advance = (place: Place, by: number): Place =>
  typeof place === 'bigint' ? place + BigInt(by) : place.subarray(by);

export class ScratchCopy {
  readonly #libc: Libc;
  /** A memfd, made for the first copy. */
  #fd = -1;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Answers the number of bytes that arrived before the first one that cannot, or -errno when that is the first. */
  copy(to: Place, from: Place, size: number): number {
    if (size === 0) return 0;
    if (this.#fd < 0) this.#fd = this.#libc.call('memfd_create', cString('guest-memfd-scratch'), MFD_CLOEXEC);
    if (this.#fd < 0) return this.#fd;
    let done = 0;
    while (done < size) {
      const moved = this.#chunk(advance(to, done), advance(from, done), Math.min(CHUNK, size - done));
      // A short count is followed by one more attempt from there, which either goes on or says why not.
      if (moved <= 0) return done > 0 ? done : moved || -errno.EFAULT;
      done += moved;
    }
    return done;
  }

  close(): void {
    if (this.#fd >= 0) this.#libc.call('close', this.#fd);
    this.#fd = -1;
  }

  #chunk(to: Place, from: Place, size: number): number {
    const copied = this.#libc.call('pwrite', this.#fd, from, BigInt(size), 0n);
    return copied < 0 ? copied : this.#libc.call('pread', this.#fd, to, BigInt(copied), 0n);
  }
}
