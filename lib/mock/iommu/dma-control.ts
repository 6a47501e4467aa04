/** A device without registers, for tests: it does DMA through an IOAS when it is told to. */

import { checkAlive } from '../alive.ts';
import type { IommuHost } from './host.ts';
import { dma } from './pci/dma.ts';
import { ioasOf } from './private-side.ts';
import { throughIoas } from './vfio/through-ioas.ts';

/**
 * What becomes of an access is in the journal: `dma` or `dma-fault` for each page, with a `hazard` before it. The one
 * that kills the host ends as others do; after it there are none: MockHostCrashedError.
 */
export interface DmaEngine {
  /** What the device reads; zeros where it may not. */
  read(iova: bigint, length: number): Uint8Array;
  /** Lost where it may not write. */
  write(iova: bigint, bytes: Uint8Array): void;
}

/** Of a device that is attached to an IOAS, whichever: what its page tables map is what it reaches. */
export function dmaEngine(host: IommuHost, iommufd: number, ioasId: number): DmaEngine {
  const ioas = ioasOf(host, iommufd, ioasId);
  const device = {
    name: `a device on ${ioas.title}`,
    translate: (iova: bigint) => {
      const [domain] = ioas.table.domains;
      return domain && throughIoas(ioas, domain, iova);
    },
  };
  return {
    read: (iova, length) => {
      checkAlive(host);
      const bytes = new Uint8Array(length);
      dma(host, device, iova, bytes, false);
      return bytes;
    },
    write: (iova, bytes) => {
      checkAlive(host);
      dma(host, device, iova, bytes, true);
    },
  };
}
