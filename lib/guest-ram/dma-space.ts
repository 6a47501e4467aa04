/** Where a device can be given guest memory: what an IOAS and a VFIO container have in common. */

import type { Result } from '../host/index.ts';

/** A part of the file at one I/O virtual address, in bytes; it is mapped and unmapped as one. */
export interface DmaPiece {
  /** From the start of the guest_memfd. */
  readonly offset: bigint;
  /** What the device says to reach it. */
  readonly iova: bigint;
  readonly length: bigint;
}

export interface DmaSpace {
  /** What it is a face of: two with the same key are one space. */
  readonly key: object;
  /** For messages: "IOAS 1 of Iommufd (fd 9)". */
  readonly title: string;
  /** Gives devices the piece, for reading and writing. */
  tryMap(piece: DmaPiece): Promise<Result<void>>;
  /** Takes back a piece exactly as it was given. */
  tryUnmap(piece: DmaPiece): Promise<Result<void>>;
  /** Whether the kernel has all of the piece mapped; left out where the interface cannot tell. */
  isMapped?(piece: DmaPiece): Promise<boolean>;
}
