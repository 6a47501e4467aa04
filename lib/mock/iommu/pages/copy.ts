/**
 * Copying to and from the memory of an IOAS without pinning it for long: iopt_pages_rw_access(). Who copies stands for
 * a device, so what the hardware makes of a guest's own pages is on record as a device's access.
 */

import { errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Journal } from '../../journal.ts';
import { type Platform, reachOutside } from '../../platform/index.ts';
import type { AddressSpace } from '../../process/index.ts';
import type { Pages } from './pages.ts';

const PAGE = BigInt(PAGE_SIZE);

interface Machine {
  readonly addressSpace: AddressSpace;
  readonly platform: Platform;
  readonly journal: Journal;
}

interface How {
  readonly write: boolean;
  /** As a driver that is not in the process's own context. */
  readonly slow: boolean;
  /** Whose access it is, for the journal, and the I/O address of its first byte. */
  readonly target: string;
  readonly iova: bigint;
}

/** `start`: in bytes, from the start of the memory. */
export function copyThrough(machine: Machine, pages: Pages, start: bigint, bytes: Uint8Array, how: How): number {
  const { write, slow } = how;
  if (write && !pages.writable) return -errno.EPERM;
  if (pages.kind === 'dma-buf') return -errno.EINVAL;
  // On the slow way too a single page is looked up by its address: iopt_pages_rw_page().
  const isOnePage = (start % PAGE) + BigInt(bytes.length) <= PAGE;
  if (pages.kind === 'user' && (!slow || isOnePage)) {
    const { addressSpace } = machine;
    const address = pages.origin + start;
    if (slow && !addressSpace.allows(address, write)) return -errno.EFAULT;
    const copied = write ? addressSpace.copyIn(address, bytes) : addressSpace.copyOut(address, bytes);
    return copied === bytes.length ? 0 : -errno.EFAULT;
  }
  return copyPinned(machine, pages, start, bytes, how);
}

function copyPinned(machine: Machine, pages: Pages, start: bigint, bytes: Uint8Array, how: How): number {
  const range = { start: Number(start / PAGE), end: Number((start + BigInt(bytes.length) - 1n) / PAGE) + 1 };
  let error = 0;
  const refused = pages.borrow(range, () => {
    for (let done = 0; done < bytes.length && error === 0; ) {
      const at = start + BigInt(done);
      const within = Number(at % PAGE);
      const piece = bytes.subarray(done, done + PAGE_SIZE - within);
      error = copyPage(machine, pages, at, piece, { ...how, iova: how.iova + BigInt(done) });
      done += piece.length;
    }
  });
  return refused || error;
}

function copyPage(machine: Machine, pages: Pages, at: bigint, piece: Uint8Array, how: How): number {
  const { write, target, iova } = how;
  const folio = pages.folio(Number(at / PAGE));
  // Only a guest_memfd's own areas lose pages while they are needed: revoked as a whole, or since a page cannot be had.
  if (folio === undefined || typeof folio === 'number') return folio ?? -errno.EFAULT;
  const within = Number(at % PAGE);
  const reach = reachOutside(machine, folio, { by: 'device', write }, { target, page: Number(iova / PAGE) });
  if (reach.outcome === 'blocked' || reach.outcome === 'machine-check') return -errno.EFAULT;
  if (write) folio.bytes.set(piece, within);
  else if (reach.outcome === 'reached') folio.copyTo(piece, within);
  else piece.set(machine.platform.seenOutside(folio).subarray(within, within + piece.length));
  return 0;
}
