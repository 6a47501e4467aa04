/** Containers and groups: what comes before what, and what type1 refuses. */

import {
  type ErrnoName,
  type IoctlIn,
  PAGE_SIZE,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DISABLE,
  VFIO_IOMMU_ENABLE,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_SET_IOMMU,
} from '../../abi/index.ts';
import type { ContainerDriver, VfioContainer, VfioGroup } from '../../iommu/index.ts';
import { eventfd, NO_FD } from '../bare.ts';
import { type AnyCase, defineCase } from '../case.ts';
import type { T } from '../context.ts';
import { groupOf, IOVA, memory, PAGE, testDevice } from '../dma.ts';

const requires = { vfioContainer: true, vfioDevice: 'any' } as const;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

interface Pair {
  readonly container: VfioContainer;
  readonly group: VfioGroup;
}

/** A container and the device's group, which are not put together yet. */
async function apart(t: T): Promise<Pair> {
  const container = await t.host.vfio.openContainer();
  t.defer(() => container.close());
  const group = await t.host.vfio.openGroup(await groupOf(t));
  t.defer(() => group.close());
  return { container, group };
}

async function together(t: T, driver: ContainerDriver = 'type1v2'): Promise<Pair> {
  const pair = await apart(t);
  await pair.group.setContainer(pair.container);
  await pair.container.setIommu(driver);
  return pair;
}

const order = defineCase({
  name: 'vfio-container-order',
  about: 'Group into container, then the driver, then devices; anything else is EINVAL (vfio_fops_unl_ioctl()).',
  requires,
  async run(t) {
    const { container, group } = await apart(t);
    t.equal(await container.apiVersion(), 0, 'the version');
    t.equal(await container.checkExtension('type1v2'), 1, 'whether there is type1v2');
    t.equal(await container.checkExtension('update-vaddr'), 0, 'whether there is update-vaddr, before a driver is set');
    t.fails(await container.trySetIommu('type1v2'), 'EINVAL', 'setting the driver without a group');
    t.fails(
      await container.tryMapDma({ address: await memory(t, 1), iova: IOVA }),
      'EINVAL',
      'mapping without a driver',
    );
    t.fails(await group.tryOpenDevice(testDevice(t)), 'EINVAL', 'opening a device without a container');
    t.equal(await group.status(), { viable: true, inContainer: false }, 'the group');
    t.fails(await group.tryUnsetContainer(), 'EINVAL', 'taking the group out of no container');
    t.succeeds(await group.trySetContainer(container), 'putting the group in');
    t.fails(await group.trySetContainer(container), 'EINVAL', 'putting it in again');
    t.equal(await group.status(), { viable: true, inContainer: true }, 'the group then');
    t.fails(await group.tryOpenDevice(testDevice(t)), 'EINVAL', 'opening a device without a driver');
    t.fails(await t.host.raw.tryIoctl(container, VFIO_SET_IOMMU, 99), 'ENODEV', 'setting a driver there is not');
    t.succeeds(await container.trySetIommu('type1v2'), 'setting the driver');
    t.fails(await container.trySetIommu('type1v2'), 'EINVAL', 'setting it again');
    t.equal(await container.checkExtension('update-vaddr'), 1, 'whether there is update-vaddr now');
    t.fails(await group.tryOpenDevice('0000:ff:1f.7'), 'ENODEV', 'opening a device that is not in the group');
    const device = t.succeeds(await group.tryOpenDevice(testDevice(t)), 'opening the device');
    t.fails(await group.tryUnsetContainer(), 'EBUSY', 'taking the group out while the device is open');
    await device.close();
    t.succeeds(await group.tryUnsetContainer(), 'taking it out');
  },
});

const files = defineCase({
  name: 'vfio-group-container-files',
  about: 'A group is opened once at a time, and put into a container only.',
  requires,
  async run(t) {
    const { group } = await apart(t);
    t.fails(await t.host.vfio.tryOpenGroup(await groupOf(t)), 'EBUSY', 'opening the group a second time');
    const put = (fd: number) => t.host.raw.tryIoctl(group, VFIO_GROUP_SET_CONTAINER, { fd });
    t.fails(await put(NO_FD), 'EBADF', 'putting it into no file');
    t.fails(await put(await eventfd(t)), 'EBADFD', 'putting it into an eventfd');
    t.fails(await put(group.fd), 'EBADFD', 'putting it into itself');
  },
});

const info = defineCase<ContainerDriver>({
  name: 'vfio-container-info',
  about: 'VFIO_IOMMU_GET_INFO: argsz says what there is room for, and is raised to what there is.',
  requires,
  variants: { type1: 'type1', type1v2: 'type1v2' },
  async run(t, driver) {
    const { container } = await together(t, driver);
    const told = await container.info();
    t.ok((told.pageSizes & PAGE) !== 0n, 'whether it knows the page size');
    t.ok((told.iovaRanges?.length ?? 0) > 0, 'whether it tells ranges');
    t.equal(told.mappingsLeft, 65535, 'mappings left');
    const ask = (argsz: number) => t.host.raw.tryIoctl(container, VFIO_IOMMU_GET_INFO, { argsz });
    t.fails(await ask(15), 'EINVAL', 'with too small an argsz');
    const short = t.succeeds(await ask(16), 'with the smallest argsz');
    t.ok(short.out.argsz > 24, `whether argsz was raised to what there is: ${short.out.argsz}`);
    t.equal(short.out.cap_offset, 0, 'where capabilities are when there is no room');
    await container.mapDma({ address: await memory(t, 1), iova: IOVA });
    t.equal((await container.info()).mappingsLeft, 65534, 'mappings left after one');
  },
});

const map = defineCase<{ values: IoctlIn<typeof VFIO_IOMMU_MAP_DMA>; code: ErrnoName }>({
  name: 'vfio-type1-map',
  about: 'What VFIO_IOMMU_MAP_DMA refuses (vfio_dma_do_map()).',
  requires,
  variants: {
    'argsz-too-small': { values: { argsz: 31 }, code: 'EINVAL' },
    'unknown-flag': { values: { flags: 8 | 3 }, code: 'EINVAL' },
    'no-access': { values: { flags: 0 }, code: 'EINVAL' },
    'vaddr-with-access': { values: { flags: 4 | 3 }, code: 'EINVAL' },
    'size-0': { values: { size: 0n }, code: 'EINVAL' },
    'odd-size': { values: { size: PAGE + 1n }, code: 'EINVAL' },
    'odd-iova': { values: { iova: IOVA + 1n }, code: 'EINVAL' },
    'iova-wraps': { values: { iova: U64_MAX - PAGE + 1n, size: 2n * PAGE }, code: 'EOVERFLOW' },
    'no-memory': { values: { vaddr: 0x1000n }, code: 'EFAULT' },
    'vaddr-of-nothing': { values: { flags: 4 }, code: 'ENOENT' },
  },
  async run(t, { values, code }) {
    const { container } = await together(t);
    const mapping = await memory(t, 1);
    const valid = { flags: 3, vaddr: mapping.address, iova: IOVA, size: PAGE };
    t.fails(await t.host.raw.tryIoctl(container, VFIO_IOMMU_MAP_DMA, { ...valid, ...values }), code, 'mapping');
    t.equal((await container.info()).mappingsLeft, 65535, 'mappings left afterwards');
  },
});

const unmap = defineCase<{ values: IoctlIn<typeof VFIO_IOMMU_UNMAP_DMA>; code: ErrnoName }>({
  name: 'vfio-type1-unmap',
  about: 'What VFIO_IOMMU_UNMAP_DMA refuses, with the size in the struct as it was (vfio_dma_do_unmap()).',
  requires,
  variants: {
    'argsz-too-small': { values: { argsz: 23 }, code: 'EINVAL' },
    'unknown-flag': { values: { flags: 8 }, code: 'EINVAL' },
    'size-0': { values: { size: 0n }, code: 'EINVAL' },
    'odd-size': { values: { size: PAGE + 1n }, code: 'EINVAL' },
    'odd-iova': { values: { iova: IOVA + 1n }, code: 'EINVAL' },
    'size-of-all-ones': { values: { iova: 0n, size: U64_MAX }, code: 'EINVAL' },
    'iova-wraps': { values: { iova: U64_MAX - PAGE + 1n, size: 2n * PAGE }, code: 'EOVERFLOW' },
    'all-with-a-range': { values: { flags: 2 }, code: 'EINVAL' },
    'all-with-dirty-pages': { values: { flags: 3, iova: 0n, size: 0n }, code: 'EINVAL' },
  },
  async run(t, { values, code }) {
    const { container } = await together(t);
    await container.mapDma({ address: await memory(t, 1), iova: IOVA });
    const asked = { iova: IOVA, size: PAGE, ...values };
    const attempt = await t.host.raw.tryIoctl(container, VFIO_IOMMU_UNMAP_DMA, asked);
    t.fails(attempt, code, 'unmapping');
    t.equal(attempt.out.size, BigInt(asked.size ?? 0n), 'the size in the struct afterwards');
    t.equal(await container.unmapDma({ iova: IOVA, length: PAGE }), PAGE, 'bytes mapped afterwards');
  },
});

const dirty = defineCase<ContainerDriver>({
  name: 'vfio-dirty-pages',
  about: 'Dirty tracking is for type1v2; without hardware for it every pinned page counts as dirty, once and for all.',
  requires,
  variants: { type1: 'type1', type1v2: 'type1v2' },
  async run(t, driver) {
    const { container } = await together(t, driver);
    const mapping = await memory(t, 4);
    await container.mapDma({ address: mapping, iova: IOVA });
    if (driver === 'type1') {
      t.fails(await container.trySetDirtyTracking(true), 'EACCES', 'tracking');
      return;
    }
    const range = { iova: IOVA, length: 4 * PAGE_SIZE };
    t.fails(await container.tryDirtyBitmap(range), 'EINVAL', 'asking before tracking');
    t.succeeds(await container.trySetDirtyTracking(true), 'tracking');
    t.equal((await container.dirtyBitmap(range)).dirty, [0, 1, 2, 3], 'the dirty pages');
    t.fails(await container.tryDirtyBitmap({ iova: IOVA, length: PAGE_SIZE }), 'EINVAL', 'of part of a mapping');
    t.succeeds(await container.trySetDirtyTracking(false), 'tracking no more');
    t.fails(
      await t.host.raw.tryIoctl(container, VFIO_IOMMU_DIRTY_PAGES, { flags: 3 }),
      'EINVAL',
      'start and stop at once',
    );
  },
});

const spapr = defineCase({
  name: 'vfio-type1-other-drivers',
  about: 'Requests of other drivers are ENOTTY on type1.',
  requires,
  async run(t) {
    const { container } = await together(t);
    for (const ioctl of [VFIO_IOMMU_ENABLE, VFIO_IOMMU_DISABLE]) {
      t.fails(await t.host.raw.tryIoctl(container, ioctl, 0), 'ENOTTY', 'the request');
    }
  },
});

export const cases: readonly AnyCase[] = [order, files, info, map, unmap, dirty, spapr];
