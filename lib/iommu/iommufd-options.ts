/** IOMMU_OPTION: settings of an iommufd and of its objects. */

import { IOMMU_OPTION, IOMMU_OPTION_OP_GET, IOMMU_OPTION_OP_SET } from '../abi/iommufd.ts';
import { issue, prepareIoctl, type Result, success } from '../host/index.ts';
import type { IommufdState } from './state.ts';

/** `object`: an IOAS's id, or 0 for the iommufd itself. */
export async function askOption(state: IommufdState, option_id: number, object: number): Promise<Result<bigint>> {
  const args = { option_id, op: IOMMU_OPTION_OP_GET, object_id: object };
  const outcome = await issueOption(state, args);
  return outcome.ok ? success(outcome.out.val64) : outcome;
}

export async function tellOption(
  state: IommufdState,
  option_id: number,
  object: number,
  val64: bigint,
): Promise<Result<void>> {
  const outcome = await issueOption(state, { option_id, op: IOMMU_OPTION_OP_SET, object_id: object, val64 });
  return outcome.ok ? success(undefined) : outcome;
}

function issueOption({ context, file }: IommufdState, args: Parameters<typeof IOMMU_OPTION.struct.encode>[0]) {
  return file.use(() => issue(context.syscalls, file.number, prepareIoctl(file.number, IOMMU_OPTION, args)));
}
