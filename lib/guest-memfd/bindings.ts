/**
 * Where a guest_memfd stands in guest-physical memory. Needed where conversion is a matter of guest addresses
 * (`vm-attributes`); everywhere else the state belongs to the file and nobody asks.
 */

import type { OwnedFd } from '../host/index.ts';

/** One memory region's part of the file. */
export interface Binding {
  readonly vm: OwnedFd;
  /** Bytes from the start of the file. */
  readonly offset: bigint;
  readonly size: bigint;
  readonly guestPhysAddr: bigint;
}

/** A part of a range of the file, and the guest-physical address it has. */
export interface BoundPiece {
  readonly vm: OwnedFd;
  readonly guestPhysAddr: bigint;
  readonly size: bigint;
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export class Bindings {
  readonly #bindings = new Set<Binding>();

  /** Answers how to take it out again. */
  add(binding: Binding): () => void {
    this.#bindings.add(binding);
    return () => {
      this.#bindings.delete(binding);
    };
  }

  /**
   * The pieces that make up the range, in file order. A kernel binds no page of a file twice, so there is one way.
   * @throws RangeError when a part of the range is bound nowhere.
   */
  cover(offset: bigint, size: bigint): BoundPiece[] {
    const pieces: BoundPiece[] = [];
    const end = offset + size;
    for (let at = offset; at < end; at += pieces.at(-1)!.size) pieces.push(this.#pieceAt(at, end));
    return pieces;
  }

  #pieceAt(at: bigint, end: bigint): BoundPiece {
    for (const { vm, offset, size, guestPhysAddr } of this.#bindings) {
      if (at < offset || at >= offset + size) continue;
      return { vm, guestPhysAddr: guestPhysAddr + (at - offset), size: min(end, offset + size) - at };
    }
    throw Object.assign(
      new RangeError(
        `file offset 0x${at.toString(16)} is in no memory region made by vm.setMemoryRegion(); ` +
          'with the dialect vm-attributes a conversion is one of guest-physical addresses, so the range must be bound',
      ),
      { code: 'ERR_OUT_OF_RANGE' },
    );
  }
}
