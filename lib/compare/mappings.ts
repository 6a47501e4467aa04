/** The mappings that a VMM made for devices, and must keep in mind: an IOAS is unmapped area by area. */

import { type DmaPiece, type DmaSpace, outside, PieceList } from '../guest-ram/index.ts';
import { unwrap } from '../host/index.ts';

export class Mappings {
  readonly #space: DmaSpace;
  readonly #pieces = new PieceList();

  constructor(space: DmaSpace) {
    this.#space = space;
  }

  /** Maps what is not mapped yet of a piece. */
  async map(piece: DmaPiece): Promise<void> {
    for (const missing of this.#missing(piece)) {
      unwrap(await this.#space.tryMap(missing));
      this.#pieces.add(missing);
    }
  }

  /** Areas go as a whole, and what they have outside comes back. */
  async unmap(start: bigint, end: bigint): Promise<void> {
    for (const piece of this.#pieces.overlapping(start, end)) {
      unwrap(await this.#space.tryUnmap(piece));
      this.#pieces.remove(piece);
      for (const kept of outside(piece, start, end)) await this.map(kept);
    }
  }

  /** The kernel has unmapped this, and cut areas where it begins and ends. */
  forget(start: bigint, end: bigint): void {
    for (const piece of this.#pieces.overlapping(start, end)) {
      this.#pieces.remove(piece);
      for (const kept of outside(piece, start, end)) this.#pieces.add(kept);
    }
  }

  #missing(piece: DmaPiece): DmaPiece[] {
    let missing = [piece];
    for (const { offset, length } of this.#pieces.overlapping(piece.offset, piece.offset + piece.length)) {
      missing = missing.flatMap((part) => outside(part, offset, offset + length));
    }
    return missing;
  }
}
