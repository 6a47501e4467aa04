/** The pieces one space holds at the moment, by their place in the file; no two overlap. */

import type { DmaPiece } from './dma-space.ts';

const endOf = ({ offset, length }: DmaPiece): bigint => offset + length;

export class PieceList {
  /** Ascending. */
  readonly #pieces: DmaPiece[] = [];

  get all(): readonly DmaPiece[] {
    return this.#pieces;
  }

  add(piece: DmaPiece): void {
    this.#pieces.splice(this.#firstEndingAfter(piece.offset), 0, piece);
  }

  remove(piece: DmaPiece): void {
    const at = this.#pieces.indexOf(piece, this.#firstEndingAfter(piece.offset));
    if (at >= 0) this.#pieces.splice(at, 1);
  }

  /** The pieces that have a byte in [start, end). */
  overlapping(start: bigint, end: bigint): DmaPiece[] {
    const found: DmaPiece[] = [];
    for (let at = this.#firstEndingAfter(start); at < this.#pieces.length; at++) {
      const piece = this.#pieces[at]!;
      if (piece.offset >= end) break;
      found.push(piece);
    }
    return found;
  }

  #firstEndingAfter(offset: bigint): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (endOf(this.#pieces[middle]!) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The part of a piece in [start, end); undefined where there is none. */
export function clip(piece: DmaPiece, start: bigint, end: bigint): DmaPiece | undefined {
  const from = piece.offset > start ? piece.offset : start;
  const to = endOf(piece) < end ? endOf(piece) : end;
  if (from >= to) return undefined;
  return { offset: from, iova: piece.iova + (from - piece.offset), length: to - from };
}

/** What is left of a piece outside [start, end): none, one or two. */
export function outside(piece: DmaPiece, start: bigint, end: bigint): DmaPiece[] {
  return [clip(piece, piece.offset, start), clip(piece, end, endOf(piece))].filter((part) => part !== undefined);
}
