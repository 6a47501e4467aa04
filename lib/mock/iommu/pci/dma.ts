/**
 * DMA: a device reaches memory through its IOMMU, page by page. Where it may not, reads give zeros and writes are lost,
 * as on QEMU's bus, and the fault is on record. What comes of reaching a page that is a guest's own, the platform says.
 */

import { PAGE_SIZE } from '../../../abi/linux.ts';
import type { Journal } from '../../journal.ts';
import { type Platform, reachInside, reachOutside } from '../../platform/index.ts';
import type { DmaTarget, Translate } from './dma-target.ts';

interface Bus {
  readonly platform: Platform;
  readonly journal: Journal;
}

export interface DmaDevice {
  readonly name: string;
  /** Undefined while nothing is attached: everything is blocked. */
  readonly translate: Translate | undefined;
}

/** The device reads memory into `bytes`, or writes them to it. */
export function dma(bus: Bus, device: DmaDevice, iova: bigint, bytes: Uint8Array, write: boolean): void {
  for (let done = 0; done < bytes.length; ) {
    const at = iova + BigInt(done);
    const step = Math.min(PAGE_SIZE - Number(at % BigInt(PAGE_SIZE)), bytes.length - done);
    const piece = bytes.subarray(done, done + step);
    const refused = movePiece(bus, device, at, piece, write);
    const page = Number(at >> 12n);
    bus.journal.record(refused ? 'dma-fault' : 'dma', device.name, page, page + 1, undefined, refused ?? verb(write));
    if (refused && !write) piece.fill(0);
    done += step;
  }
}

const verb = (write: boolean): string => (write ? 'write' : 'read');

/** Moves bytes within a page; answers what stopped it. */
function movePiece(bus: Bus, device: DmaDevice, iova: bigint, piece: Uint8Array, write: boolean): string | undefined {
  const target = device.translate?.(iova);
  if (!target) return `${verb(write)}: nothing is mapped`;
  if (!(write ? target.write : target.read)) return `${verb(write)}: not allowed`;
  const folio = target.folio();
  if (folio === undefined || typeof folio === 'number') return `${verb(write)}: nothing is mapped`;
  const page = Number(iova >> 12n);
  const reach = target.isTrusted
    ? reachInside(bus.platform, folio)
    : reachOutside(bus, folio, { by: 'device', write }, { target: target.title, page });
  if (reach.outcome === 'reached') recordHazard(bus, target, page, write);
  if (reach.outcome === 'blocked' || reach.outcome === 'machine-check') {
    return `${verb(write)}: ${reach.outcome === 'blocked' ? reach.fault : reach.cause}`;
  }
  if (write) {
    if (reach.outcome === 'reached') folio.bytes.set(piece, target.within);
    target.written();
  } else {
    const seen = target.isTrusted ? folio.bytes : bus.platform.seenOutside(folio);
    piece.set(seen.subarray(target.within, target.within + piece.length));
  }
  return undefined;
}

/** The hardware lets it pass, and yet it should not be there. */
function recordHazard({ journal }: Bus, target: DmaTarget, page: number, write: boolean): void {
  const { isFreed, isOthers, isTrusted } = target;
  if (!isFreed && !isOthers) return;
  const what = isFreed ? 'memory that was freed' : isTrusted ? 'shared memory, taken for private' : 'private memory';
  journal.record('hazard', target.title, page, page + 1, undefined, `device ${verb(write)}s ${what}`);
}
