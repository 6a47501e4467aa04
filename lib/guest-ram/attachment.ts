/** One space that devices reach the memory through, and what it holds of it. */

import type { PageState } from '../guest-memfd/index.ts';
import { type KernelError, type Result, success } from '../host/index.ts';
import type { DmaPiece, DmaSpace } from './dma-space.ts';
import { outside, PieceList } from './piece-list.ts';
import { type RamStep, traced } from './steps.ts';
import type { Undo } from './undo.ts';

type MapStep = Extract<RamStep['step'], 'map' | 'unmap' | 'restore-map' | 'restore-unmap'>;

export class Attachment {
  readonly space: DmaSpace;
  /** The state of the pages that belong in this space: 'shared', or 'private' for a device that the guest trusts. */
  readonly holds: PageState;
  readonly #pieces = new PieceList();

  constructor(space: DmaSpace, holds: PageState) {
    this.space = space;
    this.holds = holds;
  }

  get pieces(): readonly DmaPiece[] {
    return this.#pieces.all;
  }

  /** Gives devices these pieces; on a refusal the caller runs `undo`. */
  async map(pieces: readonly DmaPiece[], undo: Undo): Promise<Result<void>> {
    for (const piece of pieces) {
      const result = await this.#map('map', piece);
      if (!result.ok) return result;
      undo.add(() => this.#unmap('restore-unmap', piece));
    }
    return success(undefined);
  }

  /**
   * Takes [start, end) from devices. A kernel unmaps only what was mapped as one, so a piece that lies across an end
   * goes as a whole, and what it has outside comes back at once: for that long, devices miss it.
   */
  async unmap(start: bigint, end: bigint, undo: Undo): Promise<Result<void>> {
    for (const piece of this.#pieces.overlapping(start, end)) {
      const gone = await this.#unmap('unmap', piece);
      if (!gone.ok) return gone;
      undo.add(() => this.#map('restore-map', piece));
      const kept = await this.map(outside(piece, start, end), undo);
      if (!kept.ok) return kept;
    }
    return success(undefined);
  }

  /** Takes everything from devices, as far as it goes. @throws AggregateError of the refusals */
  async unmapAll(): Promise<void> {
    const errors: KernelError[] = [];
    for (const piece of [...this.#pieces.all]) {
      const result = await this.#unmap('unmap', piece);
      if (!result.ok) errors.push(result.error);
    }
    if (errors.length > 0) throw new AggregateError(errors, `${this.space.title} kept ${errors.length} mappings`);
  }

  async #map(step: MapStep, piece: DmaPiece): Promise<Result<void>> {
    const result = await traced(this.#describe(step, piece), this.space.tryMap(piece));
    if (result.ok) this.#pieces.add(piece);
    return result;
  }

  async #unmap(step: MapStep, piece: DmaPiece): Promise<Result<void>> {
    const result = await traced(this.#describe(step, piece), this.space.tryUnmap(piece));
    if (result.ok) this.#pieces.remove(piece);
    return result;
  }

  #describe(step: MapStep, { offset, iova, length }: DmaPiece): RamStep {
    return { step, space: this.space.title, offset, size: length, iova };
  }
}
