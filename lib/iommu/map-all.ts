/** Several maps as one: all, or none. */

import { wrongType } from '../abi/invalid.ts';
import { type Failure, failed, type KernelError, type Result, success } from '../host/index.ts';

export interface MappedPiece {
  readonly iova: bigint;
  readonly length: bigint;
}

export function checkPieces<P>(pieces: readonly P[]): readonly P[] {
  if (!Array.isArray(pieces)) throw wrongType('pieces', 'a list of what map() takes', pieces);
  return pieces;
}

/**
 * Maps in order. A refusal undoes what was done before, last first, and is what is answered: that something could not
 * be undone is told beside it, never instead of it.
 */
export async function mapAll<P>(
  pieces: readonly P[],
  map: (piece: P) => Promise<Result<MappedPiece>>,
  unmap: (piece: MappedPiece) => Promise<Result<unknown>>,
): Promise<Result<bigint[]>> {
  const done: MappedPiece[] = [];
  for (const piece of pieces) {
    const result = await map(piece);
    if (!result.ok) return await undo(result, done, unmap);
    done.push(result.value);
  }
  return success(done.map(({ iova }) => iova));
}

async function undo(
  { error }: Failure,
  done: readonly MappedPiece[],
  unmap: (piece: MappedPiece) => Promise<Result<unknown>>,
): Promise<Failure> {
  const undoing: KernelError[] = [];
  for (const piece of [...done].reverse()) {
    const result = await unmap(piece);
    if (!result.ok) undoing.push(result.error);
  }
  return failed(error.with({ completed: done.length, ...(undoing.length > 0 && { undoing }) }));
}
