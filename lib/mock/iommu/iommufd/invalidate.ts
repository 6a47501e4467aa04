/** IOMMU_HWPT_INVALIDATE: a guest's caches. Only the test driver nests, so the entries are its own. */

import { errno } from '../../../abi/errno.ts';
import type { IoctlOut } from '../../../abi/ioctl.ts';
import type { IOMMU_HWPT_INVALIDATE } from '../../../abi/iommufd.ts';
import { PAGE_SIZE } from '../../../abi/linux.ts';
import { struct, u32 } from '../../../abi/struct.ts';
import { MockDevice } from '../test-driver/mock-driver.ts';
import type { IommufdContext } from './context.ts';
import { HwptNested } from './hwpt.ts';
import type { Reply } from './sized-dispatch.ts';
import { userData } from './user-data.ts';
import { Viommu } from './viommu.ts';

type Invalidate = typeof IOMMU_HWPT_INVALIDATE;
type Args = IoctlOut<Invalidate>;

const MAX_ENTRIES = 1 << 19;
const SELFTEST = 0xdead_beef;
const FLAG_ALL = 1;
const LAST_CACHE = 3;

const invalidate_selftest = struct('iommu_hwpt_invalidate_selftest', { flags: u32, iotlb_id: u32 });
const viommu_invalidate_selftest = struct('iommu_viommu_invalidate_selftest', {
  flags: u32,
  vdev_id: u32,
  cache_id: u32,
});

/** How many entries were handled comes back in any case. */
export function hwptInvalidate(context: IommufdContext, args: Args, reply: Reply<Invalidate>): number {
  const { done, result } = invalidate(context, args);
  return reply({ ...args, entry_num: done }) || result;
}

interface Outcome {
  readonly done: number;
  readonly result: number;
}

const failed = (result: number, done = 0): Outcome => ({ done, result });

function invalidate(context: IommufdContext, args: Args): Outcome {
  if (args.__reserved !== 0) return failed(-errno.EOPNOTSUPP);
  const { entry_num, entry_len, data_uptr } = args;
  const wrong = data_uptr === 0n || entry_len === 0 || entry_len > PAGE_SIZE || entry_num > MAX_ENTRIES;
  if (entry_num > 0 && wrong) return failed(-errno.EINVAL);
  const target = context.objects.any(args.hwpt_id);
  if (!target) return failed(-errno.ENOENT);
  if (target instanceof HwptNested) return invalidateNested(context, target, args);
  return target instanceof Viommu ? invalidateDevices(context, target, args) : failed(-errno.EINVAL);
}

function invalidateNested(context: IommufdContext, { iotlb }: HwptNested, args: Args): Outcome {
  if (args.data_type !== SELFTEST) return failed(-errno.EINVAL);
  for (let i = 0; i < args.entry_num; i++) {
    const at = args.data_uptr + BigInt(i * args.entry_len);
    const { size } = invalidate_selftest;
    const bytes = userData(context, args.data_type, at, args.entry_len)?.read(size, size) ?? -errno.EINVAL;
    if (typeof bytes === 'number') return failed(bytes, i);
    const { flags, iotlb_id } = invalidate_selftest.decode(bytes);
    if (flags & ~FLAG_ALL) return failed(-errno.EOPNOTSUPP, i);
    if (iotlb_id > LAST_CACHE) return failed(-errno.EINVAL, i);
    if (flags & FLAG_ALL) iotlb.fill(0);
    else iotlb[iotlb_id] = 0;
  }
  return { done: args.entry_num, result: 0 };
}

/** All entries are copied before the first is looked at. */
function invalidateDevices(context: IommufdContext, viommu: Viommu, args: Args): Outcome {
  const { entry_num, entry_len, data_uptr } = args;
  if (args.data_type !== SELFTEST) return failed(-errno.EINVAL);
  const { size } = viommu_invalidate_selftest;
  const entries: Uint8Array[] = [];
  for (let i = 0; i < entry_num; i++) {
    const given = context.read(data_uptr + BigInt(i * entry_len), entry_len);
    if (!given) return failed(-errno.EFAULT);
    if (given.subarray(size).some((byte) => byte !== 0)) return failed(-errno.E2BIG);
    const bytes = new Uint8Array(size);
    bytes.set(given.subarray(0, size));
    entries.push(bytes);
  }
  for (const [i, bytes] of entries.entries()) {
    const { flags, vdev_id, cache_id } = viommu_invalidate_selftest.decode(bytes);
    if (flags & ~FLAG_ALL) return failed(-errno.EOPNOTSUPP, i);
    const device = viommu.vdevices.get(BigInt(vdev_id))?.device.device;
    if (cache_id > LAST_CACHE || !(device instanceof MockDevice)) return failed(-errno.EINVAL, i);
    if (flags & FLAG_ALL) device.caches.fill(0);
    else device.caches[cache_id] = 0;
  }
  return { done: entry_num, result: 0 };
}
