/** IOMMU_OPTION: of the whole file, or of an IOAS. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import {
  type IOMMU_OPTION,
  IOMMU_OPTION_HUGE_PAGES,
  IOMMU_OPTION_OP_GET,
  IOMMU_OPTION_OP_SET,
  IOMMU_OPTION_RLIMIT_MODE,
} from '../../../abi/iommufd.ts';
import { disableLargePages, enableLargePages } from '../iova/attach.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import type { Reply } from './sized-dispatch.ts';

type Args = IoctlOut<typeof IOMMU_OPTION>;

export function option(context: IommufdContext, args: Args, reply: Reply<typeof IOMMU_OPTION>): number {
  if (args.__reserved !== 0) return -errno.EOPNOTSUPP;
  const value = valueAfter(context, args);
  return typeof value === 'number' ? value : reply({ ...args, val64: value });
}

/** What the option is afterwards, or -errno. */
function valueAfter(context: IommufdContext, args: Args): bigint | number {
  switch (args.option_id) {
    case IOMMU_OPTION_RLIMIT_MODE:
      return rlimitMode(context, args);
    case IOMMU_OPTION_HUGE_PAGES: {
      const ioas = context.objects.find(args.object_id, Ioas);
      return ioas ? hugePages(ioas, args) : -errno.ENOENT;
    }
    default:
      return -errno.EOPNOTSUPP;
  }
}

/** How pinned pages are counted; not to be changed once there is anything that could have some. */
function rlimitMode(context: IommufdContext, { object_id, op, val64 }: Args): bigint | number {
  if (object_id !== 0) return -errno.EOPNOTSUPP;
  if (op === IOMMU_OPTION_OP_GET) return BigInt(context.accountPerProcess);
  if (op !== IOMMU_OPTION_OP_SET) return -errno.EOPNOTSUPP;
  if (context.objects.size > 0) return -errno.EBUSY;
  if (val64 > 1n) return -errno.EINVAL;
  context.accountPerProcess = val64 === 1n;
  return val64;
}

function hugePages({ table }: Ioas, { op, val64 }: Args): bigint | number {
  if (op === IOMMU_OPTION_OP_GET) return BigInt(table.largePages);
  if (op !== IOMMU_OPTION_OP_SET) return -errno.EOPNOTSUPP;
  if (val64 === 0n) return disableLargePages(table) || val64;
  if (val64 !== 1n) return -errno.EINVAL;
  enableLargePages(table);
  return val64;
}
