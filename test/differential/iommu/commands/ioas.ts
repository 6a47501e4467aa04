/** Address spaces: made, restricted, asked, and set up. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/iommufd.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { freeIova, idChoice, iovaChoice, pickId, reserved } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addObject, objectsOf } from '../world.ts';

const MOST_IOASES = 4;
const U64 = (1n << 64n) - 1n;

const MOST_RANGES = 6;

function rangeList(ranges: readonly { start: bigint; last: bigint }[]): Uint8Array {
  const { size, encode } = abi.iommu_iova_range;
  const bytes = new Uint8Array(MOST_RANGES * size);
  for (const [i, range] of ranges.entries()) bytes.set(encode(range), i * size);
  return bytes;
}

const alloc = command({
  name: 'ioas-alloc',
  weight: 3,
  choices: fc.record({ which, flags: mostly([0], [1], 12) }),
  expects: () => ['ok', 'EOPNOTSUPP'],
  prepare(world, { which: nth, flags }) {
    const on = world.iommu.fd(nth, 'iommufd');
    if (!on || objectsOf(on.of, 'ioas').length >= MOST_IOASES) return undefined;
    return ioctlCall({
      text: `IOMMU_IOAS_ALLOC(flags ${flags})`,
      on,
      ioctl: abi.IOMMU_IOAS_ALLOC,
      values: { flags },
      agreed: (ret, { out_ioas_id }) => {
        if (ret === 0) addObject(on.of, 'ioas', out_ioas_id);
      },
    });
  },
});

const allow = command({
  name: 'ioas-allow-iovas',
  weight: 2,
  choices: fc.record({
    which,
    id: idChoice,
    ranges: fc.array(iovaChoice, { maxLength: 3 }),
    count: mostly([-1], [0, 2], 6),
    nowhere: oneIn(16),
    reserved,
  }),
  expects: () => ['ok', 'EINVAL', 'EADDRINUSE', 'EFAULT', 'EOPNOTSUPP'],
  prepare(world, choice) {
    const on = world.iommu.fd(choice.which, 'iommufd');
    const ioas_id = on && pickId(on.of, choice.id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    const ranges = choice.ranges.map(freeIova).map(({ iova, length }) => ({
      start: iova,
      last: BigInt.asUintN(64, iova + length - 1n),
    }));
    const num_iovas = choice.count < 0 ? ranges.length : choice.count;
    return ioctlCall({
      text: `IOMMU_IOAS_ALLOW_IOVAS(ioas ${ioas_id}, ${num_iovas} of ${ranges.map(({ start, last }) => `${hex(start)}-${hex(last)}`).join(' ')}${choice.nowhere ? ' at null' : ''}, reserved ${choice.reserved})`,
      on,
      ioctl: abi.IOMMU_IOAS_ALLOW_IOVAS,
      values: {
        ioas_id,
        num_iovas,
        __reserved: choice.reserved,
        allowed_iovas: choice.nowhere ? 0n : rangeList(ranges),
      },
    });
  },
});

const ranges = command({
  name: 'ioas-iova-ranges',
  weight: 3,
  choices: fc.record({
    which,
    id: idChoice,
    num_iovas: mostly([MOST_RANGES], [0, 1, 2], 3),
    nowhere: oneIn(16),
    reserved,
  }),
  expects: () => ['ok', 'EMSGSIZE', 'EFAULT', 'EOPNOTSUPP', 'ENOENT'],
  prepare(world, { which: nth, id, num_iovas, nowhere, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const ioas_id = on && pickId(on.of, id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_IOAS_IOVA_RANGES(ioas ${ioas_id}, room for ${num_iovas}${nowhere ? ' at null' : ''}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_IOAS_IOVA_RANGES,
      values: () => ({ ioas_id, num_iovas, __reserved, allowed_iovas: nowhere ? 0n : rangeList([]) }),
    });
  },
});

const option = command({
  name: 'iommu-option',
  weight: 4,
  choices: fc.record({
    which,
    option_id: mostly([abi.IOMMU_OPTION_HUGE_PAGES, abi.IOMMU_OPTION_RLIMIT_MODE], [2], 10),
    op: mostly([abi.IOMMU_OPTION_OP_SET, abi.IOMMU_OPTION_OP_GET], [2], 10),
    id: idChoice,
    global: oneIn(5),
    val64: mostly([0n, 1n], [2n, U64], 10),
    reserved,
  }),
  expects: () => ['ok', 'EOPNOTSUPP', 'EINVAL', 'ENOENT', 'EBUSY'],
  prepare(world, { which: nth, option_id, op, id, global, val64, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const object_id = on && (global ? 0 : pickId(on.of, id, 'ioas'));
    if (!on || object_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_OPTION(option ${option_id}, op ${op}, object ${object_id}, value ${hex(val64)}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_OPTION,
      values: { option_id, op, __reserved, object_id, val64 },
      agreed: (ret) => {
        const space = on.of.objects.get(object_id);
        const isSize = option_id === abi.IOMMU_OPTION_HUGE_PAGES && op === abi.IOMMU_OPTION_OP_SET;
        if (ret === 0 && isSize && space) space.smallPages = val64 === 0n;
      },
    });
  },
});

const smallPages = command({
  name: 'ioas-small-pages',
  weight: 1,
  choices: fc.record({ which, id: idChoice }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, id }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const object_id = on && pickId(on.of, id, 'ioas');
    if (!on || object_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_OPTION(no huge pages for ioas ${object_id})`,
      on,
      ioctl: abi.IOMMU_OPTION,
      values: { option_id: abi.IOMMU_OPTION_HUGE_PAGES, op: abi.IOMMU_OPTION_OP_SET, object_id, val64: 0n },
      agreed: (ret) => {
        const space = on.of.objects.get(object_id);
        if (ret === 0 && space) space.smallPages = true;
      },
    });
  },
});

const changeProcess = command({
  name: 'ioas-change-process',
  weight: 1,
  choices: fc.record({ which, reserved }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    if (!on) return undefined;
    const values = { __reserved };
    return ioctlCall({
      text: `IOMMU_IOAS_CHANGE_PROCESS(reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_IOAS_CHANGE_PROCESS,
      values,
    });
  },
});

const vfioIoas = command({
  name: 'iommu-vfio-ioas',
  weight: 1,
  choices: fc.record({ which, id: idChoice, op: mostly([0, 1, 2], [3], 10), reserved }),
  expects: () => ['ok', 'ENODEV', 'ENOENT', 'EOPNOTSUPP'],
  prepare(world, { which: nth, id, op, reserved: __reserved }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const ioas_id = on && pickId(on.of, id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    return ioctlCall({
      text: `IOMMU_VFIO_IOAS(op ${op}, ioas ${ioas_id}, reserved ${__reserved})`,
      on,
      ioctl: abi.IOMMU_VFIO_IOAS,
      values: { ioas_id, op, __reserved },
    });
  },
});

export const ioasCommands = [alloc, allow, ranges, option, smallPages, changeProcess, vfioIoas];
