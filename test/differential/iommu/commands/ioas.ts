/** Address spaces: made, mapped into, unmapped from, copied between, restricted. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/iommufd.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import { freeIova, hold, idChoice, iovaChoice, mappedIova, memoryChoice, memoryFor, pickId } from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addArea, addObject, type Iommufd, objectsOf, removeAreas, type Space } from '../world.ts';

const { IOMMU_IOAS_MAP_FIXED_IOVA: FIXED, IOMMU_IOAS_MAP_READABLE: READ, IOMMU_IOAS_MAP_WRITEABLE: WRITE } = abi;
const MOST_IOASES = 4;
const PAGE = 4096n;
const U64 = (1n << 64n) - 1n;

const access = mostly([READ | WRITE, READ | WRITE, READ, WRITE], [0, 8 | READ], 16);
const reserved = mostly([0], [1], 24);
const spaceOf = ({ objects }: Iommufd, id: number): Space | undefined => objects.get(id);

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

const map = command({
  name: 'ioas-map',
  weight: 10,
  choices: fc.record({
    which,
    id: idChoice,
    at: iovaChoice,
    memory: memoryChoice,
    automatic: oneIn(5),
    access,
    reserved,
  }),
  expects: () => ['ok', 'EINVAL', 'EEXIST', 'ENOENT', 'EFAULT', 'EOPNOTSUPP', 'EOVERFLOW'],
  prepare(world, choice) {
    const on = world.iommu.fd(choice.which, 'iommufd');
    const ioas_id = on && pickId(on.of, choice.id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    const wanted = freeIova(choice.at);
    const memory = memoryFor(world, choice.memory, wanted.length);
    // Of more than a page the alignment of the address matters, which is another on each kernel.
    const automatic = choice.automatic && (memory.length <= PAGE || memory.place.mapping === undefined);
    const flags = choice.access | (automatic ? 0 : FIXED);
    const { iova } = wanted;
    const { length, place } = memory;
    hold(memory);
    return ioctlCall({
      text: `IOMMU_IOAS_MAP(ioas ${ioas_id}, ${automatic ? 'anywhere' : hex(iova)}, ${hex(length)}, ${memory.text}, flags ${flags}, reserved ${choice.reserved})`,
      on,
      ioctl: abi.IOMMU_IOAS_MAP,
      values: (side) => ({
        flags,
        ioas_id,
        __reserved: choice.reserved,
        user_va: BigInt.asUintN(64, side.address(place)),
        length,
        iova,
      }),
      agreed: (ret, out) => {
        if (ret === 0) addArea(spaceOf(on.of, ioas_id), { iova: out.iova, length, memory: place });
      },
    });
  },
});

const mapFile = command({
  name: 'ioas-map-file',
  weight: 5,
  choices: fc.record({
    which,
    id: idChoice,
    at: iovaChoice,
    file: which,
    fileKind: fc.nat(11),
    start: mostly([0n, PAGE, 2n * PAGE], [2048n, 15n * PAGE, 16n * PAGE, U64, U64 - PAGE + 1n], 6),
    automatic: oneIn(4),
    access,
  }),
  expects: () => ['ok', 'EINVAL', 'EEXIST', 'EBADF', 'ENOENT'],
  prepare(world, { which: nth, id, at, file, fileKind, start, automatic, access: rights }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const ioas_id = on && pickId(on.of, id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    const others = { 9: world.fd(file), 10: world.iommu.fd(file, 'iommufd', 'access'), 11: undefined };
    const of = fileKind in others ? others[fileKind as 9] : world.fd(file, 'memfd');
    if (!of && fileKind !== 11) return undefined;
    const { iova, length } = freeIova(at);
    const flags = rights | (automatic ? 0 : FIXED);
    return ioctlCall({
      text: `IOMMU_IOAS_MAP_FILE(ioas ${ioas_id}, ${automatic ? 'anywhere' : hex(iova)}, ${hex(length)}, ${of?.name ?? 'no such fd'} + ${hex(start)}, flags ${flags})`,
      on,
      ioctl: abi.IOMMU_IOAS_MAP_FILE,
      values: (side) => ({ flags, ioas_id, fd: side.fd(of), start, length, iova }),
      agreed: (ret, out) => {
        if (ret === 0) addArea(spaceOf(on.of, ioas_id), { iova: out.iova, length });
      },
    });
  },
});

const unmap = command({
  name: 'ioas-unmap',
  weight: 6,
  choices: fc.record({ which, id: idChoice, at: iovaChoice, all: oneIn(24) }),
  expects: () => ['ok', 'ENOENT', 'EINVAL', 'EOVERFLOW'],
  prepare(world, { which: nth, id, at, all }) {
    const on = world.iommu.fd(nth, 'iommufd');
    const ioas_id = on && pickId(on.of, id, 'ioas');
    if (!on || ioas_id === undefined) return undefined;
    const space = spaceOf(on.of, ioas_id);
    const { iova, length } = all ? { iova: 0n, length: U64 } : mappedIova(at, space ?? { areas: [] });
    return ioctlCall({
      text: `IOMMU_IOAS_UNMAP(ioas ${ioas_id}, ${hex(iova)}, ${hex(length)})`,
      on,
      ioctl: abi.IOMMU_IOAS_UNMAP,
      values: { ioas_id, iova, length },
      agreed: (ret) => {
        if (ret === 0 || ret === -2) removeAreas(space, iova, length);
      },
    });
  },
});

const copy = command({
  name: 'ioas-copy',
  weight: 6,
  choices: fc.record({
    which,
    from: idChoice,
    to: idChoice,
    at: iovaChoice,
    target: iovaChoice,
    automatic: oneIn(4),
    access,
  }),
  expects: () => ['ok', 'ENOENT', 'EEXIST', 'EINVAL', 'EPERM'],
  prepare(world, choice) {
    const on = world.iommu.fd(choice.which, 'iommufd');
    const src_ioas_id = on && pickId(on.of, choice.from, 'ioas');
    const dst_ioas_id = on && pickId(on.of, choice.to, 'ioas');
    if (!on || src_ioas_id === undefined || dst_ioas_id === undefined) return undefined;
    const { iova: src_iova, length } = mappedIova(choice.at, spaceOf(on.of, src_ioas_id) ?? { areas: [] });
    const { iova: dst_iova } = freeIova(choice.target);
    // Of more than a page the alignment of the address matters, which is another on each kernel.
    const automatic = choice.automatic && length <= PAGE;
    const flags = choice.access | (automatic ? 0 : FIXED);
    return ioctlCall({
      text: `IOMMU_IOAS_COPY(ioas ${src_ioas_id} ${hex(src_iova)} to ioas ${dst_ioas_id} ${automatic ? 'anywhere' : hex(dst_iova)}, ${hex(length)}, flags ${flags})`,
      on,
      ioctl: abi.IOMMU_IOAS_COPY,
      values: { flags, dst_ioas_id, src_ioas_id, length, dst_iova, src_iova },
      agreed: (ret, out) => {
        if (ret === 0) addArea(spaceOf(on.of, dst_ioas_id), { iova: out.dst_iova, length });
      },
    });
  },
});

const MOST_RANGES = 6;

function rangeList(ranges: readonly { start: bigint; last: bigint }[]): Uint8Array {
  const { size, encode } = abi.iommu_iova_range;
  const bytes = new Uint8Array(MOST_RANGES * size);
  for (const [i, range] of ranges.entries()) bytes.set(encode(range), i * size);
  return bytes;
}

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

export const ioasCommands = [
  alloc,
  map,
  mapFile,
  unmap,
  copy,
  allow,
  ranges,
  option,
  smallPages,
  changeProcess,
  vfioIoas,
];
