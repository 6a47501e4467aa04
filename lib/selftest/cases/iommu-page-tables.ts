/** Page tables of user space's own, which pages were written to, and what the kernel itself reads through them. */

import {
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IOMMU_HWPT_ALLOC,
  iommu_test_hw_info,
  PAGE_SIZE,
} from '../../abi/index.ts';
import { type AnyCase, defineCase } from '../case.ts';
import { attached, IOVA, iommufd, memory, PAGE, pattern } from '../dma.ts';

const requires = { iommufdTest: true } as const;

const hwInfo = defineCase({
  name: 'iommu-hw-info',
  about: 'IOMMU_GET_HW_INFO tells what a device’s IOMMU is; a device that is not there is ENOENT.',
  requires,
  async run(t) {
    const { file, device } = await attached(t);
    const { type, data } = await file.hwInfo(device);
    t.equal(type, IOMMU_HW_INFO_TYPE_SELFTEST, 'the type');
    t.equal(iommu_test_hw_info.decode(data).test_reg, IOMMU_HW_INFO_SELFTEST_REGVAL, 'its register');
    t.fails(await file.tryHwInfo(9999), 'ENOENT', 'asking of a device that is not there');
  },
});

const hwpt = defineCase({
  name: 'iommu-hwpt-alloc',
  about: 'IOMMU_HWPT_ALLOC: a device that is not there is ENOENT, an address space that is not there EINVAL.',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const ask = (values: object) => t.host.raw.tryIoctl(file, IOMMU_HWPT_ALLOC, values);
    t.fails(await ask({ dev_id: 9999, pt_id: space.id }), 'ENOENT', 'for a device that is not there');
    t.fails(await ask({ dev_id: device.deviceId, pt_id: 9999 }), 'EINVAL', 'on an address space that is not there');
    t.fails(
      await ask({ dev_id: device.deviceId, pt_id: space.id, flags: 1 << 20 }),
      'EOPNOTSUPP',
      'with unknown flags',
    );
    t.fails(await ask({ dev_id: device.deviceId, pt_id: space.id, data_len: 8 }), 'EINVAL', 'with data of no type');
    const made = t.succeeds(await file.tryAllocHwpt({ device, on: space }), 'making one');
    t.fails(await space.tryClose(), 'EBUSY', 'destroying the address space');
    t.succeeds(await made.tryClose(), 'destroying it');
  },
});

const dirty = defineCase({
  name: 'iommu-dirty-pages',
  about: 'A page table with dirty tracking tells which pages were written to, and forgets it when asked (or not).',
  requires,
  async run(t) {
    const { file, space, device } = await attached(t);
    const plain = t.succeeds(await file.tryAllocHwpt({ device, on: space }), 'making one without');
    t.fails(await plain.trySetDirtyTracking(true), 'EOPNOTSUPP', 'tracking on it');
    const table = t.succeeds(await file.tryAllocHwpt({ device, on: space, dirtyTracking: true }), 'making one with');
    const tracked = await file.test.mockDevice(table);
    const mapping = await memory(t, 16);
    // Pages that lie together by chance would share an entry, and with it the mark.
    await space.setHugePages(false);
    await space.map({ address: mapping, iova: IOVA });
    t.succeeds(await table.trySetDirtyTracking(true), 'tracking');
    const range = { iova: IOVA, length: 16n * PAGE };
    const bits = new Uint8Array(8);
    bits[0] = 0b0000_0101;
    bits[1] = 0b1000_0000;
    const written = await file.test.tryDirty(tracked.hwptId, range, PAGE_SIZE, bits);
    t.equal(t.succeeds(written, 'writing'), 3n, 'pages written to');
    const pages = async (clear: boolean) => (await table.dirtyBitmap({ ...range, clear })).dirty;
    t.equal(await pages(false), [0, 2, 15], 'the dirty pages');
    t.equal(await pages(true), [0, 2, 15], 'the dirty pages, asked again');
    t.equal(await pages(true), [], 'the dirty pages after they were cleared');
    t.succeeds(await table.trySetDirtyTracking(false), 'tracking no more');
  },
});

const access = defineCase({
  name: 'iommu-access',
  about: 'What the kernel itself reads and writes through an address space is the memory that is mapped there.',
  requires,
  async run(t) {
    const file = await iommufd(t);
    const space = await file.allocIoas();
    const mapping = await memory(t, 2);
    const reader = await file.test.access(space);
    t.defer(() => reader.close());
    const bytes = pattern(100, 7);
    const at = IOVA + PAGE - 50n;
    t.fails(await reader.tryRead(at, new Uint8Array(100)), 'ENOENT', 'reading where nothing is mapped');
    await space.map({ address: mapping, iova: IOVA });
    await mapping.write(PAGE_SIZE - 50, bytes);
    const got = new Uint8Array(100);
    t.succeeds(await reader.tryRead(at, got), 'reading over the border of two pages');
    t.equal(got, bytes, 'what was read');
    t.succeeds(await reader.tryWrite(IOVA, bytes), 'writing');
    t.equal(await mapping.read(0, 100), bytes, 'what was written');
    await space.unmapAll();
    await space.map({ address: mapping, iova: IOVA, writeable: false });
    t.fails(await reader.tryWrite(IOVA, bytes), 'EPERM', 'writing where only reading is mapped');
  },
});

export const cases: readonly AnyCase[] = [hwInfo, hwpt, dirty, access];
