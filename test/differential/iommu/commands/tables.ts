/** Devices' page tables, made and asked which pages were written to. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/iommufd.ts';
import { IOMMU_HWPT_DATA_SELFTEST, iommu_hwpt_selftest, iommuTest } from '../../../../lib/abi/iommufd-test.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { idChoice, iovaChoice, mappedIova, pickId, pickTracking, reserved } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addObject, everywhere, type Iommufd, objectsOf } from '../world.ts';

const MOST_TABLES = 6;
/** Of a bitmap. */
const MOST_BITS = 512n;

const { IOMMU_HWPT_ALLOC_DIRTY_TRACKING: DIRTY, IOMMU_HWPT_ALLOC_NEST_PARENT: PARENT } = abi;

const hwptAlloc = command({
  name: 'hwpt-alloc',
  weight: 4,
  choices: fc.record({
    which,
    device: idChoice,
    target: idChoice,
    flags: mostly([0, DIRTY, DIRTY, PARENT], [PARENT | DIRTY, abi.IOMMU_HWPT_FAULT_ID_VALID, 16], 8),
    nested: oneIn(5),
    data_len: mostly([iommu_hwpt_selftest.size], [0, 4], 5),
    reserved,
  }),
  expects: () => ['ok', 'ENOENT', 'EINVAL', 'EOPNOTSUPP'],
  prepare(world, { which: nth, device, target, flags, nested, data_len, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const dev_id = on && pickId(on.of, device, 'device');
    const pt_id = on && pickId(on.of, target, nested ? 'hwpt' : 'ioas');
    if (!on || dev_id === undefined || pt_id === undefined) return undefined;
    if (objectsOf(on.of, 'hwpt').length >= MOST_TABLES) return undefined;
    const data = nested
      ? { data_type: IOMMU_HWPT_DATA_SELFTEST, data_len, data_uptr: iommu_hwpt_selftest.encode({ iotlb: 7 }) }
      : {};
    return ioctlCall({
      text: `IOMMU_HWPT_ALLOC(device ${dev_id}, on ${pt_id}, flags ${flags}, ${nested ? `nested data of ${data_len}` : 'no data'}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_HWPT_ALLOC,
      values: () => ({ flags, dev_id, pt_id, __reserved, ...data }),
      agreed: (ret, { out_hwpt_id }) => {
        if (ret === 0) addObject(on.of, 'hwpt', out_hwpt_id, flags & DIRTY ? pt_id : undefined);
      },
    });
  },
});

const setDirty = command({
  name: 'hwpt-set-dirty-tracking',
  weight: 2,
  choices: fc.record({ which, id: idChoice, flags: mostly([1, 1, 0], [2], 10), reserved }),
  expects: () => ['ok', 'ENOENT', 'EOPNOTSUPP'],
  prepare(world, { which: nth, id, flags, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const hwpt_id = on && pickTracking(on.of, id);
    if (!on || hwpt_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_HWPT_SET_DIRTY_TRACKING(hwpt ${hwpt_id}, flags ${flags}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_HWPT_SET_DIRTY_TRACKING,
      values: { flags, hwpt_id, __reserved },
    });
  },
});

const pageSizes = mostly([4096n, 2048n], [0n, 1n, 8192n, 3000n], 6);
const bits = mostly([0xffn, 1n, 0b1010n], [0n], 6);

/** Of so many bits, the pattern at its start; nowhere when the kernel would go further. */
function bitmap(length: bigint, pageSize: bigint, pattern: bigint): Uint8Array | bigint {
  if (pageSize === 0n || length / pageSize > MOST_BITS) return 0n;
  const bytes = new Uint8Array(Number(MOST_BITS) / 8 + 64);
  new DataView(bytes.buffer).setBigUint64(0, pattern, true);
  return bytes;
}

/** Pages that lie together by chance share an entry of the page table, and with it the mark: nobody can tell which. */
const hasLargeEntries = ({ objects }: Iommufd, id: number): boolean => {
  const { tracks } = objects.get(id) ?? {};
  return tracks !== undefined && objects.get(tracks)?.smallPages !== true;
};

const markDirty = command({
  name: 'mock-dirty',
  weight: 3,
  choices: fc.record({ which, id: idChoice, at: iovaChoice, page_size: pageSizes, bits }),
  expects: () => ['ok', 'EINVAL', 'ENOENT'],
  prepare(world, { which: nth, id: choice, at, page_size, bits: pattern }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const id = on && pickTracking(on.of, choice, true);
    if (!on || id === undefined || hasLargeEntries(on.of, id)) return undefined;
    const { iova, length } = mappedIova(at, everywhere(on.of));
    return ioctlCall({
      text: `DIRTY(hwpt ${id}, ${hex(iova)}, ${hex(length)}, pages of ${page_size}, bits ${hex(pattern)})`,
      on,
      ioctl: iommuTest.DIRTY,
      values: () => ({ id, dirty: { iova, length, page_size, uptr: bitmap(length, page_size, pattern) } }),
    });
  },
});

const dirtyBitmap = command({
  name: 'hwpt-dirty-bitmap',
  weight: 4,
  choices: fc.record({
    which,
    id: idChoice,
    at: iovaChoice,
    page_size: pageSizes,
    flags: mostly([0, abi.IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR], [2], 10),
    reserved,
  }),
  expects: () => ['ok', 'EINVAL', 'ENOENT', 'EOPNOTSUPP'],
  prepare(world, { which: nth, id, at, page_size, flags, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const hwpt_id = on && pickTracking(on.of, id);
    if (!on || hwpt_id === undefined) return undefined;
    const { iova, length } = mappedIova(at, everywhere(on.of));
    return ioctlCall({
      text: `IOMMU_HWPT_GET_DIRTY_BITMAP(hwpt ${hwpt_id}, ${hex(iova)}, ${hex(length)}, pages of ${page_size}, flags ${flags}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_HWPT_GET_DIRTY_BITMAP,
      values: () => ({
        hwpt_id,
        flags,
        __reserved,
        iova,
        length,
        page_size,
        data: bitmap(length, page_size & -page_size, 0n),
      }),
    });
  },
});

const hwInfo = command({
  name: 'iommu-hw-info',
  weight: 1,
  choices: fc.record({
    which,
    id: idChoice,
    data_len: mostly([8], [0, 4, 16], 2),
    flags: mostly([0], [1, 2], 8),
    reserved,
  }),
  expects: () => ['ok', 'ENOENT'],
  prepare(world, { which: nth, id, data_len, flags, reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const dev_id = on && pickId(on.of, id, 'device');
    if (!on || dev_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_GET_HW_INFO(device ${dev_id}, room ${data_len}, flags ${flags}, reserved ${reserved})`,
      on,
      ioctl: abi.IOMMU_GET_HW_INFO,
      values: () => ({ flags, dev_id, data_len, data_uptr: new Uint8Array(16).fill(0xee), __reserved: [reserved] }),
    });
  },
});

export const tableCommands = [hwptAlloc, setDirty, markDirty, dirtyBitmap, hwInfo];
