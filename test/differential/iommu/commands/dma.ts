/** Mapping through a container: type1 in its versions, and iommufd in the container's place. */

import fc from 'fast-check';
import * as abi from '../../../../lib/abi/vfio.ts';
import { hex, mostly, oneIn, which } from '../../choices.ts';
import { command } from '../../command.ts';
import type { World } from '../../world.ts';
import { argszOf, freeIova, hold, iovaChoice, mappedIova, memoryChoice, memoryFor } from '../choices.ts';
import { ioctlCall, issueBytes } from '../issue.ts';
import { addArea, FDS, removeAreas } from '../world.ts';

const PAGE = 4096n;
const U64 = (1n << 64n) - 1n;

const { VFIO_DMA_MAP_FLAG_READ: READ, VFIO_DMA_MAP_FLAG_WRITE: WRITE, VFIO_DMA_MAP_FLAG_VADDR: VADDR } = abi;

/** One that can map, most of the time where there is one. */
function mapper(world: World, nth: number) {
  const { iommu } = world;
  const found = Array.from({ length: FDS }, (_, i) => iommu.fd(nth + i, 'container', 'iommufd'));
  return (nth % 8 === 7 ? undefined : found.find((fd) => fd?.of.ready)) ?? found[0];
}

const mapDma = command({
  name: 'map-dma',
  weight: 10,
  choices: fc.record({
    which,
    at: iovaChoice,
    mapped: oneIn(5),
    memory: memoryChoice,
    flags: mostly([READ | WRITE, READ | WRITE, READ, WRITE, VADDR], [0, 8 | READ, VADDR | READ], 16),
    argsz: argszOf(abi.VFIO_IOMMU_MAP_DMA.struct.size),
  }),
  expects: () => ['ok', 'EINVAL', 'EEXIST', 'EFAULT', 'ENODEV', 'ENOENT'],
  prepare(world, { which: nth, at, mapped, memory: place, flags, argsz: size }) {
    const on = mapper(world, nth);
    if (!on) return undefined;
    const wanted = mapped || flags === VADDR ? mappedIova(at, on.of) : freeIova(at);
    const memory = memoryFor(world, place, wanted.length);
    const { length } = memory;
    hold(memory);
    return ioctlCall({
      text: `VFIO_IOMMU_MAP_DMA(${hex(wanted.iova)}, ${hex(length)}, ${memory.text}, flags ${flags}, argsz ${size})`,
      on,
      ioctl: abi.VFIO_IOMMU_MAP_DMA,
      values: (side) => ({
        argsz: size,
        flags,
        vaddr: BigInt.asUintN(64, side.address(memory.place)),
        iova: wanted.iova,
        size: length,
      }),
      agreed: (ret) => {
        if (ret === 0 && flags !== VADDR) addArea(on.of, { iova: wanted.iova, length });
      },
    });
  },
});

/** Of a bitmap, in bytes. */
const BITMAP = 64;

const bitmapChoice = fc.record({
  pgsize: mostly([PAGE], [0n, 2048n, 8192n, 3000n], 8),
  size: mostly([8n, 8n, 16n], [0n, 7n, BigInt(BITMAP), 1n << 40n], 10),
});

const bitmapOf = ({ pgsize, size }: { pgsize: bigint; size: bigint }) => ({
  pgsize,
  size,
  data: size > BITMAP ? 0n : new Uint8Array(BITMAP),
});

const { VFIO_DMA_UNMAP_FLAG_ALL: ALL, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: DIRTY } = abi;
const { VFIO_DMA_UNMAP_FLAG_VADDR: UNMAP_VADDR } = abi;
const unmapDma = command({
  name: 'unmap-dma',
  weight: 6,
  choices: fc.record({
    which,
    at: iovaChoice,
    flags: mostly([0, 0, 0, DIRTY, UNMAP_VADDR], [ALL, ALL | UNMAP_VADDR, DIRTY | ALL, DIRTY | UNMAP_VADDR, 8], 8),
    whole: mostly(['none'], ['zero', 'everything', 'to the end'], 8),
    bitmap: bitmapChoice,
    argsz: argszOf(abi.vfioWithBitmap.UNMAP_DMA.struct.size),
  }),
  expects: () => ['ok', 'EINVAL', 'ENODEV'],
  prepare(world, { which: nth, at, flags, whole, bitmap, argsz: length }) {
    const on = mapper(world, nth);
    if (!on) return undefined;
    const chosen = mappedIova(at, on.of);
    const all = (flags & ALL) !== 0 && whole === 'none';
    const iova = all || whole === 'zero' || whole === 'everything' ? 0n : chosen.iova;
    const sizes = { none: chosen.length, zero: 0n, everything: U64, 'to the end': U64 - chosen.iova + 1n };
    const size = all ? 0n : BigInt.asUintN(64, sizes[whole as keyof typeof sizes]);
    const dirty = flags & DIRTY ? `, bitmap of ${bitmap.size} bytes for pages of ${bitmap.pgsize}` : '';
    return ioctlCall({
      text: `VFIO_IOMMU_UNMAP_DMA(${hex(iova)}, ${hex(size)}, flags ${flags}${dirty}, argsz ${length})`,
      on,
      ioctl: abi.vfioWithBitmap.UNMAP_DMA,
      values: () => ({ argsz: length, flags, iova, size, bitmap: bitmapOf(bitmap) }),
      agreed: (_, out) => {
        // Whatever it answers, some may be gone.
        if (!(flags & UNMAP_VADDR)) removeAreas(on.of, iova, all ? U64 : out.size > size ? out.size : size);
      },
    });
  },
});

const info = command({
  name: 'container-info',
  weight: 2,
  choices: fc.record({ which, argsz: mostly([256, 24], [0, 15, 16, 23, 40, 88, 112], 2) }),
  expects: () => ['ok', 'EINVAL'],
  prepare(world, { which: nth, argsz: size }) {
    const on = mapper(world, nth);
    if (!on) return undefined;
    return {
      text: `VFIO_IOMMU_GET_INFO(${on.name}, argsz ${size})`,
      run: (side) => {
        const bytes = new Uint8Array(256).fill(0xee);
        new DataView(bytes.buffer).setUint32(0, size, true);
        const { out: _, ...answer } = issueBytes(side, side.fd(on), abi.VFIO_IOMMU_GET_INFO, bytes);
        return { ...answer, bytes };
      },
    };
  },
});

const dirtyPages = command({
  name: 'container-dirty-pages',
  weight: 4,
  choices: fc.record({
    which,
    at: iovaChoice,
    flags: mostly([1, 4, 4, 2], [0, 3, 5, 8], 10),
    bitmap: bitmapChoice,
    argsz: argszOf(abi.vfioWithBitmap.DIRTY_PAGES.struct.size),
  }),
  expects: () => ['ok', 'EINVAL', 'ENOTTY', 'EACCES'],
  prepare(world, { which: nth, at, flags, bitmap, argsz: length }) {
    const on = mapper(world, nth);
    if (!on) return undefined;
    const { iova, length: size } = mappedIova(at, on.of);
    return ioctlCall({
      text: `VFIO_IOMMU_DIRTY_PAGES(flags ${flags}, ${hex(iova)}, ${hex(size)}, bitmap of ${bitmap.size} bytes for pages of ${bitmap.pgsize}, argsz ${length})`,
      on,
      ioctl: abi.vfioWithBitmap.DIRTY_PAGES,
      values: () => ({ argsz: length, flags, get: { iova, size, bitmap: bitmapOf(bitmap) } }),
    });
  },
});

export const dmaCommands = [mapDma, unmapDma, info, dirtyPages];
