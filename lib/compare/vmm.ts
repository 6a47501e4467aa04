/** A VMM for each design: it does what its guest asks for, and about devices what the design leaves to it and no more. */

import { PAGE_SIZE } from '../abi/linux.ts';
import { type DmaPiece, type DmaSpace, ioasSpace } from '../guest-ram/index.ts';
import { type Result, unwrap } from '../host/index.ts';
import { type Aftermath, aftermathOf, type DesignName, mappedBy, policyOf } from './designs.ts';
import { GPA, type Machine } from './machine.ts';
import { Mappings } from './mappings.ts';
import type { Tally } from './tally.ts';
import type { Traffic } from './traffic.ts';
import type { GuestRequest } from './workload.ts';

export interface Vmm {
  handle(request: GuestRequest): Promise<void>;
}

/** Everybody around the VMM: while it works, the device does too. */
export interface Surroundings {
  readonly machine: Machine;
  readonly traffic: Traffic;
  readonly tally: Tally;
}

const bytes = (pages: number): bigint => BigInt(pages) * BigInt(PAGE_SIZE);

const rangeOf = ({ start, end }: GuestRequest) => ({ offset: bytes(start), size: bytes(end - start) });

function pieceOf(request: GuestRequest): DmaPiece {
  const { offset, size } = rangeOf(request);
  return { offset, iova: GPA + offset, length: size };
}

export async function makeVmm(design: DesignName, around: Surroundings): Promise<Vmm> {
  const { ioas, ram, platform } = around.machine;
  const space = amongTraffic(ioasSpace(ioas, ram, mappedBy(design)), around.traffic);
  if (design !== 'guest-ram') return new ConvertFirst(around, space, aftermathOf(policyOf(design), platform));
  await ram.attach(space);
  return new UnmapFirst(around);
}

/** The device goes on between any two calls of the VMM. */
function amongTraffic(space: DmaSpace, traffic: Traffic): DmaSpace {
  const after = async (work: Promise<Result<void>>): Promise<Result<void>> => {
    const result = await work;
    traffic.step();
    return result;
  };
  return {
    key: space,
    title: space.title,
    tryMap: (piece) => after(space.tryMap(piece)),
    tryUnmap: (piece) => after(space.tryUnmap(piece)),
  };
}

/** GuestRam's own protocol. */
class UnmapFirst implements Vmm {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  async handle(request: GuestRequest): Promise<void> {
    const { machine, traffic, tally } = this.#around;
    const { start, end, to } = request;
    if (to === 'private') traffic.takeBack(start, end);
    await machine.ram.convert({ ...rangeOf(request), to });
    tally.converted();
    machine.touch(start, to);
    if (to === 'shared') traffic.give(start, end);
    traffic.step();
  }
}

/** What the thread argues about: converts without unmapping first, and sees what comes of it. */
class ConvertFirst implements Vmm {
  readonly #around: Surroundings;
  readonly #mappings: Mappings;
  readonly #aftermath: Aftermath;

  constructor(around: Surroundings, space: DmaSpace, aftermath: Aftermath) {
    this.#around = around;
    this.#mappings = new Mappings(space);
    this.#aftermath = aftermath;
  }

  async handle(request: GuestRequest): Promise<void> {
    if (request.to === 'private') await this.#makePrivate(request);
    else await this.#makeShared(request);
    this.#around.traffic.step();
  }

  async #makePrivate(request: GuestRequest): Promise<void> {
    const { machine, traffic, tally } = this.#around;
    const { start, end } = request;
    const { gmem } = machine.ram;
    traffic.takeBack(start, end);
    const first = await gmem.tryConvert({ ...rangeOf(request), to: 'private' });
    if (!first.ok) {
      if (first.code !== 'EAGAIN') throw first.error;
      tally.refused();
      await this.#mappings.unmap(bytes(start), bytes(end));
      unwrap(await gmem.tryConvert({ ...rangeOf(request), to: 'private' }));
    }
    tally.converted();
    machine.touch(start, 'private');
    traffic.step();
    if (machine.mock.machineCheck === undefined) await this.#cleanUp(bytes(start), bytes(end));
  }

  async #cleanUp(start: bigint, end: bigint): Promise<void> {
    if (this.#aftermath === 'unmapped') this.#mappings.forget(start, end);
    else if (this.#aftermath !== 'kept') await this.#mappings.unmap(start, end);
  }

  async #makeShared(request: GuestRequest): Promise<void> {
    const { machine, traffic, tally } = this.#around;
    const { start, end } = request;
    await machine.ram.gmem.convert({ ...rangeOf(request), to: 'shared' });
    tally.converted();
    machine.touch(start, 'shared');
    await this.#mappings.map(pieceOf(request));
    traffic.give(start, end);
  }
}
