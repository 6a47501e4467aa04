/** A space whose refusals are planned, and that refuses what an IOMMU refuses. */

import { errno } from '../../lib/abi/index.ts';
import { type DmaPiece, type DmaSpace, GuestRam, type GuestRamOptions } from '../../lib/guest-ram/index.ts';
import { failure, type Result, success } from '../../lib/host/index.ts';
import { openHost } from '../../lib/kvm/index.ts';
import type { ProfileName } from '../../lib/mock/index.ts';

export const PAGE = 0x1000;
export const GPA = 0x1_0000_0000n;

export class FakeSpace implements DmaSpace {
  readonly key = this;
  readonly title: string;
  /** By iova. */
  readonly held = new Map<bigint, DmaPiece>();
  readonly calls: string[] = [];
  /** Counts down with every call; the call that makes it 0 is refused. */
  refuseIn = 0;

  constructor(title = 'space') {
    this.title = title;
  }

  async tryMap(piece: DmaPiece): Promise<Result<void>> {
    const overlaps = [...this.held.values()].some(
      ({ iova, length }) => iova < piece.iova + piece.length && piece.iova < iova + length,
    );
    return this.#answer('map', piece, overlaps ? errno.EEXIST : 0, () => this.held.set(piece.iova, piece));
  }

  async tryUnmap(piece: DmaPiece): Promise<Result<void>> {
    const known = this.held.get(piece.iova)?.length === piece.length;
    return this.#answer('unmap', piece, known ? 0 : errno.ENOENT, () => this.held.delete(piece.iova));
  }

  async isMapped({ iova, length }: DmaPiece): Promise<boolean> {
    return [...this.held.values()].some((held) => held.iova <= iova && iova + length <= held.iova + held.length);
  }

  #answer(call: string, piece: DmaPiece, refusal: number, act: () => void): Result<void> {
    this.calls.push(`${call} ${piece.offset / BigInt(PAGE)}+${piece.length / BigInt(PAGE)}`);
    const planned = --this.refuseIn === 0 ? errno.ENOMEM : 0;
    if (planned || refusal) return failure({ syscall: call, args: { ...piece } }, -(planned || refusal));
    act();
    return success(undefined);
  }

  /** The pages of the file that devices reach. */
  get pages(): number[] {
    return [...this.held.values()]
      .flatMap(({ offset, length }) =>
        Array.from({ length: Number(length) / PAGE }, (_, i) => Number(offset) / PAGE + i),
      )
      .toSorted((a, b) => a - b);
  }
}

export async function ramOn(kernel: ProfileName, options: Partial<GuestRamOptions> = {}) {
  const host = await openHost({ backend: 'mock', kernel });
  const vm = await host.createVm({ type: 'sw-protected' });
  const ram = await GuestRam.create(vm, { size: 16 * PAGE, regions: [{ slot: 0, guestPhysAddr: GPA }], ...options });
  return { host, vm, ram, mock: host.mock!, [Symbol.asyncDispose]: () => host.close() };
}
