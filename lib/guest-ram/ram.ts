/**
 * The order of things. A page changes hands in four steps, each of which can be refused and is then taken back with
 * all before it: those who hold it in its old state let go, it is converted, those who may hold it in its new state
 * get it, and what two backings keep of the old state is discarded, which nothing could undo.
 */

import type { ConvertOptions, PageState } from '../guest-memfd/index.ts';
import { failed, type Result, success } from '../host/index.ts';
import { Attachment } from './attachment.ts';
import type { Backing } from './backing.ts';
import type { DmaPiece, DmaSpace } from './dma-space.ts';
import { type PageStates, rangeOf, type StateRun } from './page-states.ts';
import type { FileRange, Placement } from './placement.ts';
import { traced } from './steps.ts';
import { Undo, withUndone } from './undo.ts';

export interface RamParts {
  readonly size: bigint;
  readonly backing: Backing;
  readonly placement: Placement;
  readonly states: PageStates;
}

const DONE = success(undefined);

export class Ram {
  readonly size: bigint;
  readonly backing: Backing;
  readonly placement: Placement;
  readonly states: PageStates;
  readonly #attachments: Attachment[] = [];

  constructor({ size, backing, placement, states }: RamParts) {
    this.size = size;
    this.backing = backing;
    this.placement = placement;
    this.states = states;
  }

  get attachments(): readonly Attachment[] {
    return this.#attachments;
  }

  /** What is attached under this key. */
  attachmentOf(key: object): Attachment | undefined {
    return this.#attachments.find(({ space }) => space.key === key);
  }

  /** What the space's devices may reach of [start, end) as the states are now. */
  allowed(holds: PageState, start: bigint, end: bigint): DmaPiece[] {
    return this.states
      .within(start, end)
      .filter(({ state }) => state === holds)
      .flatMap(({ offset, size }) => this.placement.within(offset, offset + size));
  }

  async attach(space: DmaSpace, holds: PageState): Promise<Result<void>> {
    const attachment = new Attachment(space, holds);
    const result = await transaction((undo) => attachment.map(this.allowed(holds, 0n, this.size), undo));
    if (result.ok) this.#attachments.push(attachment);
    return result;
  }

  async detach(attachment: Attachment): Promise<Result<void>> {
    const result = await transaction((undo) => attachment.unmap(0n, this.size, undo));
    if (result.ok) this.#attachments.splice(this.#attachments.indexOf(attachment), 1);
    return result;
  }

  convert({ offset, size }: FileRange, to: PageState, options: ConvertOptions): Promise<Result<void>> {
    const end = offset + size;
    const differing = this.states.within(offset, end).filter(({ state }) => state !== to);
    return transaction(async (undo) => {
      for (const run of differing) {
        const unmapped = await this.#unmap(run.state, run, undo);
        if (!unmapped.ok) return unmapped;
      }
      const converted = await this.#convert({ offset, size }, to, differing, options, undo);
      if (!converted.ok) return converted;
      for (const run of differing) {
        const mapped = await this.#map(to, run, undo);
        if (!mapped.ok) return mapped;
      }
      return await this.#discard(differing);
    });
  }

  /** Devices would keep the old page where a kernel lets them; so they let go first and get the new one afterwards. */
  punchHole(range: FileRange): Promise<Result<void>> {
    return transaction(async (undo) => {
      for (const holds of ['shared', 'private'] as const) {
        const unmapped = await this.#unmap(holds, range, undo);
        if (!unmapped.ok) return unmapped;
      }
      for (const side of this.states.within(range.offset, range.offset + range.size)) {
        const step = { step: 'punch-hole', offset: side.offset, size: side.size } as const;
        const punched = await traced(step, this.backing.punch(rangeOf(side), side.state));
        if (!punched.ok) return punched;
      }
      for (const holds of ['shared', 'private'] as const) {
        const mapped = await this.#map(holds, range, undo);
        if (!mapped.ok) return mapped;
      }
      return DONE;
    });
  }

  async #unmap(holds: PageState, { offset, size }: FileRange, undo: Undo): Promise<Result<void>> {
    for (const attachment of this.#holding(holds)) {
      const result = await attachment.unmap(offset, offset + size, undo);
      if (!result.ok) return result;
    }
    return DONE;
  }

  async #map(holds: PageState, { offset, size }: FileRange, undo: Undo): Promise<Result<void>> {
    const pieces = this.allowed(holds, offset, offset + size);
    for (const attachment of this.#holding(holds)) {
      const result = await attachment.map(pieces, undo);
      if (!result.ok) return result;
    }
    return DONE;
  }

  #holding(holds: PageState): Attachment[] {
    return this.#attachments.filter((attachment) => attachment.holds === holds);
  }

  async #convert(
    { offset, size }: FileRange,
    to: PageState,
    differing: readonly StateRun[],
    options: ConvertOptions,
    undo: Undo,
  ): Promise<Result<void>> {
    const { gmem } = this.backing;
    const step = { step: 'convert', offset, size, to } as const;
    const result = await traced(step, gmem.tryConvert({ offset, size, to }, options));
    // Only where one request is made for each region can a part be converted and the rest refused.
    const done = result.ok ? size : BigInt(result.error.completed ?? 0);
    for (const run of differing) {
      const part = before(run, offset + done);
      if (!part) continue;
      this.states.set(part.offset, part.offset + part.size, to);
      undo.add(() => this.#convertBack(part));
    }
    return result;
  }

  async #convertBack(run: StateRun): Promise<Result<void>> {
    const { offset, size, state: to } = run;
    const step = { step: 'restore-convert', offset, size, to } as const;
    const result = await traced(step, this.backing.gmem.tryConvert({ offset, size, to }));
    if (result.ok) this.states.set(offset, offset + size, to);
    return result;
  }

  async #discard(differing: readonly StateRun[]): Promise<Result<void>> {
    for (const run of differing) {
      const result = await this.backing.discard(rangeOf(run), run.state);
      if (!result.ok) return result;
    }
    return DONE;
  }
}

/** The part of a run that lies before `end`. */
function before(run: StateRun, end: bigint): StateRun | undefined {
  if (run.offset >= end) return undefined;
  const size = run.offset + run.size > end ? end - run.offset : run.size;
  return { ...run, size };
}

/** Does all of it or nothing; what cannot be put back is told with the error that made it necessary. */
async function transaction(work: (undo: Undo) => Promise<Result<void>>): Promise<Result<void>> {
  const undo = new Undo();
  let result: Result<void>;
  try {
    result = await work(undo);
  } catch (error) {
    const failures = await undo.run();
    if (failures.length === 0) throw error;
    throw new AggregateError([error, ...failures], 'stopped, and not everything could be put back', { cause: error });
  }
  return result.ok ? result : failed(withUndone(result.error, await undo.run()));
}
