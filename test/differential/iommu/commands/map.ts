/** Mapping into address spaces, from memory, files and other address spaces; unmapping. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/iommufd.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import {
  freeIova,
  hold,
  idChoice,
  iovaChoice,
  mappedIova,
  memoryChoice,
  memoryFor,
  pickId,
  reserved,
} from '../choices.ts';
import { ioctlCall } from '../issue.ts';
import { addArea, type Iommufd, removeAreas, type Space } from '../world.ts';

const { IOMMU_IOAS_MAP_FIXED_IOVA: FIXED, IOMMU_IOAS_MAP_READABLE: READ, IOMMU_IOAS_MAP_WRITEABLE: WRITE } = abi;
const PAGE = 4096n;
const U64 = (1n << 64n) - 1n;

const access = mostly([READ | WRITE, READ | WRITE, READ, WRITE], [0, 8 | READ], 16);
const spaceOf = ({ objects }: Iommufd, id: number): Space | undefined => objects.get(id);

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

export const mapCommands = [map, mapFile, unmap, copy];
