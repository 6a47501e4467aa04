/** Where an IOAS can be mapped into: by the devices' reach, and by what user space allows. */

import { errno } from '../abi/errno.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import { IOMMU_IOAS_ALLOW_IOVAS, IOMMU_IOAS_IOVA_RANGES, iommu_iova_range } from '../abi/iommufd.ts';
import { type IoctlOutcome, issue, prepareIoctl, type RawArg, type Result, success } from '../host/index.ts';
import type { IommufdState } from './state.ts';

export interface IovaRanges {
  /** Where something can be mapped, both ends included. */
  readonly ranges: readonly { readonly start: bigint; readonly last: bigint }[];
  /** What iova, length and address must be multiples of: 1 while nothing is attached. */
  readonly alignment: bigint;
}

/** How many ranges are asked for at first; the kernel says when there are more. */
const FIRST_RANGES = 16;
const { size: RANGE } = iommu_iova_range;

/** Of the IOAS with this id, which stays open meanwhile. */
export async function askIovaRanges(state: IommufdState, ioas_id: number): Promise<Result<IovaRanges>> {
  for (let room = FIRST_RANGES; ; ) {
    const allowed_iovas = new Uint8Array(room * RANGE);
    const outcome = await ask(state, IOMMU_IOAS_IOVA_RANGES, { ioas_id, num_iovas: room, allowed_iovas });
    const { num_iovas, out_iova_alignment: alignment } = outcome.out;
    if (outcome.ok) return success({ ranges: decode(allowed_iovas, num_iovas), alignment });
    if (outcome.errno !== -errno.EMSGSIZE || num_iovas <= room) return outcome;
    room = num_iovas;
  }
}

export async function tellAllowed(
  state: IommufdState,
  ioas_id: number,
  ranges: readonly { readonly start: bigint; readonly last: bigint }[],
): Promise<Result<void>> {
  const allowed_iovas = new Uint8Array(ranges.length * RANGE);
  for (const [i, range] of ranges.entries()) allowed_iovas.set(iommu_iova_range.encode(range), i * RANGE);
  const args = { ioas_id, num_iovas: ranges.length, ...(ranges.length > 0 && { allowed_iovas }) };
  const outcome = await ask(state, IOMMU_IOAS_ALLOW_IOVAS, args);
  return outcome.ok ? success(undefined) : outcome;
}

function ask<I extends Ioctl>(
  { context, file }: IommufdState,
  ioctl: I,
  args: RawArg<I>,
): Promise<IoctlOutcome<IoctlOut<I>>> {
  return issue(context.syscalls, file.number, prepareIoctl(file.number, ioctl, args));
}

const decode = (bytes: Uint8Array, count: number) =>
  Array.from({ length: count }, (_, i) => iommu_iova_range.decode(bytes.subarray(i * RANGE)));
