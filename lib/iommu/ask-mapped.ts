/** Whether something is mapped, which no request tells: but what is not mapped cannot be copied. */

import { errno } from '../abi/errno.ts';
import type { Ioctl, IoctlOut } from '../abi/ioctl.ts';
import { IOMMU_DESTROY, IOMMU_IOAS_ALLOC, IOMMU_IOAS_COPY, IOMMU_IOAS_MAP_READABLE } from '../abi/iommufd.ts';
import { type IoctlOutcome, issue, prepareIoctl, type RawArg, type Result, success } from '../host/index.ts';
import type { IommufdState } from './state.ts';

/** Copies the range to an address space of its own, which has no device and so pins nothing, and destroys that. */
export async function askMapped(
  state: IommufdState,
  from: number,
  { iova, length }: { readonly iova: bigint; readonly length: bigint },
): Promise<Result<boolean>> {
  const ask = <I extends Ioctl>(ioctl: I, args: RawArg<I>): Promise<IoctlOutcome<IoctlOut<I>>> => {
    const { number } = state.file;
    return issue(state.context.syscalls, number, prepareIoctl(number, ioctl, args));
  };
  const made = await ask(IOMMU_IOAS_ALLOC, {});
  if (!made.ok) return made;
  const to = made.out.out_ioas_id;
  const ids = { dst_ioas_id: to, src_ioas_id: from };
  const copied = await ask(IOMMU_IOAS_COPY, { flags: IOMMU_IOAS_MAP_READABLE, ...ids, length, src_iova: iova });
  const destroyed = await ask(IOMMU_DESTROY, { id: to });
  if (!copied.ok && copied.errno !== -errno.ENOENT) return copied;
  return destroyed.ok ? success(copied.ok) : destroyed;
}
