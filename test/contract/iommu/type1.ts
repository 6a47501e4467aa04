/** VFIO's map and unmap requests, by each of the ways that there are to make them. */

import * as abi from '../../../lib/abi/vfio.ts';
import { U64 } from './ioas-calls.ts';
import { type Kit, PAGE, type Scenario } from './kit.ts';
import {
  CONTAINER_PATH,
  deviceFd,
  GROUP_PATH,
  mapDma,
  setContainer,
  status,
  unmapDma,
  type Way,
  ways,
} from './vfio.ts';

const QUARTER = 4 * PAGE;
const AT = 0x10_0000;

const { VFIO_DMA_UNMAP_FLAG_ALL: ALL, VFIO_DMA_UNMAP_FLAG_VADDR: VADDR } = abi;
const { VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: DIRTY, VFIO_DMA_MAP_FLAG_VADDR: MAP_VADDR } = abi;

/** Unmap requests against two mappings of four pages each, with a gap of four pages before the second. */
function unmapRows(kit: Kit, fd: number, va: bigint): void {
  const rows: [what: string, iova: number | bigint, size: number | bigint, flags?: number][] = [
    ['nothing', 0, PAGE],
    ['head half', AT, QUARTER / 2],
    ['tail half', AT + QUARTER / 2, QUARTER / 2],
    ['middle', AT + PAGE, PAGE],
    ['one and half of two', AT, 2.5 * QUARTER],
    ['half of one and two', AT + QUARTER / 2, 2.5 * QUARTER],
    ['gap', AT + QUARTER, QUARTER],
    ['gap and half of two', AT + QUARTER, 1.5 * QUARTER],
    ['superset', 0, 2 * AT],
    ['both', AT, 3 * QUARTER],
    ['misaligned, nothing there', 0x800, PAGE],
    ['misaligned size', AT, PAGE + 1],
    ['misaligned both', AT + 0x800, 0x800],
    ['size 0', AT, 0],
    ['everything', 0, U64],
    ['to the end', AT, U64 - BigInt(AT) + 1n],
    ['wrap', 0x2000n, U64],
    ['all', 0, 0, ALL],
    ['all on empty', 0, 0, ALL],
    ['all with size', 0, PAGE, ALL],
    ['all with iova', PAGE, 0, ALL],
    ['unknown flag', AT, QUARTER, 8],
    ['dirty bitmap and all', 0, 0, DIRTY | ALL],
    ['dirty bitmap and vaddr', AT, QUARTER, DIRTY | VADDR],
    ['dirty bitmap alone', AT, QUARTER, DIRTY],
  ];
  for (const [what, iova, size, flags = 0] of rows) {
    mapDma(kit, `${what}: map one`, fd, va, AT, QUARTER);
    mapDma(kit, `${what}: map two`, fd, va, AT + 2 * QUARTER, QUARTER);
    unmapDma(kit, what, fd, iova, size, { flags });
  }
}

function mapRows(kit: Kit, fd: number, va: bigint): void {
  unmapDma(kit, 'clean', fd, 0, 0, { flags: ALL });
  const rows: [what: string, vaddr: bigint, iova: number | bigint, size: number | bigint, flags?: number][] = [
    ['plain', va, AT, QUARTER],
    ['overlap', va, AT + PAGE, PAGE],
    ['overlap around', va, AT - PAGE, QUARTER * 2],
    ['read', va, 0x20_0000, PAGE, 1],
    ['write', va, 0x20_1000, PAGE, 2],
    ['unknown flag', va, 0x20_2000, PAGE, 11],
    ['size 0', va, 0x20_2000, 0],
    ['misaligned iova', va, 0x20_2800, PAGE],
    ['misaligned vaddr', va + 0x800n, 0x20_3000, PAGE],
    ['misaligned size', va, 0x20_4000, PAGE + 1],
    ['wrap of iova', va, U64 - 0xfffn, 2 * PAGE],
    ['wrap of vaddr', U64 - 0xfffn, 0x20_6000, 2 * PAGE],
    ['size wraps', va, 0x1000, U64 - 0xfffn],
    ['beyond the aperture', va, 1n << 48n, PAGE],
    ['across the aperture', va, (1n << 48n) - 0x1000n, 2 * PAGE],
    ['end of the aperture', va, (1n << 48n) - 0x1000n, PAGE],
    ['in the interrupts', va, 0xfee0_0000, PAGE],
    ['touches the interrupts', va, 0xfedf_f000, 2 * PAGE],
    ['before the interrupts', va, 0xfedf_f000, PAGE],
    ['no memory', 0x1000n, 0x30_0000, PAGE],
    ['kernel memory', 0xffff_8000_0000_0000n, 0x30_1000, PAGE],
    ['vaddr of nothing', va, 0x40_0000, PAGE, MAP_VADDR],
    ['vaddr of a valid one', va, AT, QUARTER, MAP_VADDR],
    ['vaddr and access', va, AT, QUARTER, MAP_VADDR | 3],
    ['vaddr size 0', va, AT, 0, MAP_VADDR],
    ['vaddr misaligned', va + 1n, AT, QUARTER, MAP_VADDR],
  ];
  for (const [what, vaddr, iova, size, flags = 3] of rows) mapDma(kit, what, fd, vaddr, iova, size, { flags });
  mapDma(kit, 'short', fd, va, 0x50_0000, PAGE, { argsz: 31 });
  unmapDma(kit, 'short unmap', fd, 0x50_0000, PAGE, { argsz: 23 });
}

/** VFIO_UPDATE_VADDR: the addresses go, and come back. */
function vaddrRows(kit: Kit, fd: number, va: bigint): void {
  unmapDma(kit, 'clean', fd, 0, 0, { flags: ALL });
  mapDma(kit, 'map', fd, va, AT, QUARTER);
  mapDma(kit, 'map', fd, va, AT + QUARTER, QUARTER);
  unmapDma(kit, 'vaddr goes', fd, AT, QUARTER, { flags: VADDR });
  unmapDma(kit, 'vaddr goes twice', fd, AT, QUARTER, { flags: VADDR });
  unmapDma(kit, 'vaddr of both', fd, AT, 2 * QUARTER, { flags: VADDR });
  mapDma(kit, 'vaddr of another size', fd, va, AT, PAGE, { flags: MAP_VADDR });
  mapDma(kit, 'vaddr of another place', fd, va, AT + PAGE, PAGE, { flags: MAP_VADDR });
  mapDma(kit, 'vaddr comes back', fd, va, AT, QUARTER, { flags: MAP_VADDR });
  mapDma(kit, 'vaddr comes back twice', fd, va, AT, QUARTER, { flags: MAP_VADDR });
  unmapDma(kit, 'all vaddrs', fd, 0, 0, { flags: VADDR | ALL });
  mapDma(kit, 'another map meanwhile', fd, va, 0x20_0000, PAGE);
  unmapDma(kit, 'unmap without vaddr', fd, AT, QUARTER);
  unmapDma(kit, 'vaddr of nothing', fd, 0x60_0000, QUARTER, { flags: VADDR });
}

/** GET_INFO with every amount of room. */
function infoRows(kit: Kit, fd: number): void {
  for (const argsz of [0, 15, 16, 20, 23, 24, 32, 40, 48, 56, 64, 72, 80, 88, 104, 111, 112, 116, 120, 128, 256]) {
    const bytes = new Uint8Array(256).fill(0xee);
    new DataView(bytes.buffer).setUint32(0, argsz, true);
    const { bytes: answer } = kit.issue(`info with ${argsz}`, fd, abi.VFIO_IOMMU_GET_INFO, bytes);
    kit.bytes(`info with ${argsz} says`, answer.subarray(0, 160));
  }
}

const { START, STOP, GET } = {
  START: abi.VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  STOP: abi.VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
  GET: abi.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
};

function dirtyRows(kit: Kit, fd: number, va: bigint): void {
  const { DIRTY_PAGES, UNMAP_DMA } = abi.vfioWithBitmap;
  const get = (
    what: string,
    iova: number,
    size: number,
    bitmapBytes = 8,
    pgsize = PAGE,
    argsz = DIRTY_PAGES.struct.size,
  ) => {
    const data = new Uint8Array(16);
    const bitmap = { pgsize, size: bitmapBytes, data };
    kit.call(what, fd, DIRTY_PAGES, { argsz, flags: GET, get: { iova, size, bitmap } });
    kit.bytes(`${what} bits`, data);
  };
  const flags = (what: string, value: number, argsz = 8): void => {
    kit.call(what, fd, abi.VFIO_IOMMU_DIRTY_PAGES, { argsz, flags: value });
  };
  unmapDma(kit, 'clean', fd, 0, 0, { flags: ALL });
  mapDma(kit, 'map', fd, va, AT, QUARTER);
  get('get without start', AT, QUARTER);
  flags('short', START, 7);
  flags('no flag', 0);
  flags('two flags', START | STOP);
  flags('unknown', 8);
  flags('start', START);
  flags('start', START);
  mapDma(kit, 'map', fd, va, AT + 2 * QUARTER, QUARTER, { flags: 1 });
  get('get one', AT, QUARTER);
  get('get one again', AT, QUARTER);
  get('get both', AT, 3 * QUARTER);
  get('get half', AT, QUARTER / 2);
  get('get tail', AT + QUARTER / 2, QUARTER / 2);
  get('get nothing', 0x60_0000, QUARTER);
  get('size 0', AT, 0);
  get('misaligned', AT + 1, QUARTER);
  get('other page size', AT, QUARTER, 8, 2 * PAGE);
  get('page size 0', AT, QUARTER, 8, 0);
  get('no bitmap', AT, QUARTER, 0);
  get('small bitmap', AT, QUARTER, 4);
  get('large bitmap', AT, QUARTER, 16);
  get('short', AT, QUARTER, 8, PAGE, 47);
  const data = new Uint8Array(16);
  const unmapArgs = { flags: DIRTY, iova: AT, size: QUARTER, bitmap: { pgsize: PAGE, size: 8, data } };
  kit.call('unmap, short', fd, UNMAP_DMA, { ...unmapArgs, argsz: 47 }, ['size']);
  kit.call(
    'unmap, wrong pages',
    fd,
    UNMAP_DMA,
    { ...unmapArgs, argsz: 48, bitmap: { ...unmapArgs.bitmap, pgsize: 1 } },
    ['size'],
  );
  kit.call('unmap with bits', fd, UNMAP_DMA, { ...unmapArgs, argsz: 48 }, ['size']);
  kit.bytes('unmap bits', data);
  flags('stop', STOP);
  flags('stop', STOP);
  get('get after stop', AT, QUARTER);
}

function scenariosFor({ name, open }: Way): Scenario[] {
  const withMemory =
    (rows: (kit: Kit, fd: number, va: bigint) => void) =>
    (kit: Kit): void => {
      const fd = open(kit);
      const va = kit.map(16);
      kit.fill(va, 16 * PAGE, 1);
      rows(kit, fd, va);
    };
  return [
    { name: `${name}: unmap`, run: withMemory(unmapRows) },
    { name: `${name}: map`, run: withMemory(mapRows) },
    { name: `${name}: vaddr`, run: withMemory(vaddrRows) },
    { name: `${name}: info`, run: (kit) => infoRows(kit, open(kit)) },
    { name: `${name}: dirty pages`, run: withMemory(dirtyRows) },
  ];
}

const containers: Scenario = {
  name: 'containers and groups',
  run: (kit) => {
    const container = kit.open(CONTAINER_PATH);
    const other = kit.open(CONTAINER_PATH);
    const extensions = (what: string, fd: number): void => {
      for (let i = 0; i <= 11; i++) kit.value(`${what}: extension ${i}`, fd, abi.VFIO_CHECK_EXTENSION, i);
    };
    kit.value('version', container, abi.VFIO_GET_API_VERSION);
    extensions('empty', container);
    const va = kit.map(4);
    mapDma(kit, 'map before', container, va, 0, PAGE);
    kit.value('set iommu before', container, abi.VFIO_SET_IOMMU, 3);
    const group = kit.open(GROUP_PATH);
    kit.open(GROUP_PATH);
    status(kit, 'status', group);
    status(kit, 'status, short', group, 7);
    deviceFd(kit, 'device before', group);
    kit.value('unset before', group, abi.VFIO_GROUP_UNSET_CONTAINER);
    setContainer(kit, 'set -1', group, -1);
    setContainer(kit, 'set closed', group, 999);
    setContainer(kit, 'set memfd', group, kit.memfd(PAGE));
    setContainer(kit, 'set', group, container);
    setContainer(kit, 'set again', group, container);
    setContainer(kit, 'set other', group, other);
    status(kit, 'status', group);
    deviceFd(kit, 'device before iommu', group);
    mapDma(kit, 'map before iommu', container, va, 0, PAGE);
    extensions('with group', container);
    kit.value('set iommu 7', container, abi.VFIO_SET_IOMMU, 7);
    kit.value('set iommu 0', container, abi.VFIO_SET_IOMMU, 0);
    kit.value('set iommu', container, abi.VFIO_SET_IOMMU, 3);
    kit.value('set iommu again', container, abi.VFIO_SET_IOMMU, 3);
    extensions('with iommu', container);
    kit.value('unknown', container, abi.VFIO_IOMMU_ENABLE);
    deviceFd(kit, 'unknown device', group, '0000:00:1f.7');
    const device = deviceFd(kit, 'device', group);
    const second = deviceFd(kit, 'device twice', group);
    kit.value('unset in use', group, abi.VFIO_GROUP_UNSET_CONTAINER);
    mapDma(kit, 'map', container, va, 0, PAGE);
    kit.close(second);
    kit.value('unset in use', group, abi.VFIO_GROUP_UNSET_CONTAINER);
    kit.close(device);
    kit.value('unset', group, abi.VFIO_GROUP_UNSET_CONTAINER);
    mapDma(kit, 'map after', container, va, 0, PAGE);
    setContainer(kit, 'set other', group, other);
    kit.close(other);
    status(kit, 'container closed', group);
    kit.close(group);
    const third = kit.open(GROUP_PATH);
    status(kit, 'status', third);
    setContainer(kit, 'set', third, container);
    kit.value('set iommu', container, abi.VFIO_SET_IOMMU, 1);
    mapDma(kit, 'map', container, va, 0, PAGE);
    const open = deviceFd(kit, 'device', third);
    kit.close(third);
    kit.open(GROUP_PATH);
    mapDma(kit, 'overlap', container, va, 0, PAGE);
    kit.close(open);
    kit.open(GROUP_PATH);
    mapDma(kit, 'without group', container, va, 0, PAGE);
  },
};

export const type1: Scenario[] = [containers, ...ways.flatMap(scenariosFor)];
