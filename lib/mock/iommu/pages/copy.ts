/** Copying to and from the memory of an IOAS without pinning it for long: iopt_pages_rw_access(). */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { AddressSpace } from '../../process/index.ts';
import type { Pages } from './pages.ts';

const PAGE = BigInt(PAGE_SIZE);

interface How {
  readonly write: boolean;
  /** As a driver that is not in the process's own context. */
  readonly slow: boolean;
}

/** `start`: in bytes, from the start of the memory. */
export function copyThrough(
  { addressSpace }: { readonly addressSpace: AddressSpace },
  pages: Pages,
  start: bigint,
  bytes: Uint8Array,
  { write, slow }: How,
): number {
  if (write && !pages.writable) return -errno.EPERM;
  if (pages.kind === 'dma-buf') return -errno.EINVAL;
  if (pages.kind === 'user' && !slow) {
    const address = pages.origin + start;
    const copied = write ? addressSpace.copyIn(address, bytes) : addressSpace.copyOut(address, bytes);
    return copied === bytes.length ? 0 : -errno.EFAULT;
  }
  return copyPinned(pages, start, bytes, write);
}

function copyPinned(pages: Pages, start: bigint, bytes: Uint8Array, write: boolean): number {
  const range = { start: Number(start / PAGE), end: Number((start + BigInt(bytes.length) - 1n) / PAGE) + 1 };
  return pages.borrow(range, () => {
    for (let done = 0; done < bytes.length; ) {
      const at = start + BigInt(done);
      const within = Number(at % PAGE);
      const piece = bytes.subarray(done, done + PAGE_SIZE - within);
      const folio = pages.folio(Number(at / PAGE));
      if (folio === undefined || typeof folio === 'number') return;
      if (write) folio.bytes.set(piece, within);
      else folio.copyTo(piece, within);
      done += piece.length;
    }
  });
}
