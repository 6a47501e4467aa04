/** Page tables of user space's own, what a device's IOMMU is, and which pages were written to. */

import * as abi from '../../../lib/abi/iommufd.ts';
import * as testAbi from '../../../lib/abi/iommufd-test.ts';
import { BASE, mockDomain } from './domain-calls.ts';
import { destroy, map, newIoas, U64 } from './ioas-calls.ts';
import { PAGE, type Scenario } from './kit.ts';

const { iommuTest } = testAbi;

export const pageTables: Scenario[] = [
  {
    name: 'hwpt alloc',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const { idev, hwpt } = mockDomain(kit, fd, ioas);
      const alloc = (what: string, args: object): number =>
        kit.call(what, fd, abi.IOMMU_HWPT_ALLOC, { dev_id: idev, pt_id: ioas, ...args }, ['out_hwpt_id']).out
          .out_hwpt_id;
      const data = testAbi.iommu_hwpt_selftest.encode({ iotlb: testAbi.IOMMU_TEST_IOTLB_DEFAULT });
      const nested = { data_type: testAbi.IOMMU_HWPT_DATA_SELFTEST, data_len: 8, data_uptr: data };
      alloc('plain', {});
      alloc('bad device', { dev_id: 99 });
      alloc('bad table', { pt_id: 99 });
      alloc('bad table and flags', { pt_id: 99, flags: 0x80 });
      alloc('a device as table', { pt_id: idev });
      alloc('flags', { flags: 0x80 });
      alloc('reserved', { __reserved: 1 });
      alloc('data without length', { data_type: 1 });
      alloc('length without data', { data_len: 8, data_uptr: data });
      alloc('unknown data', { data_type: 1, data_len: 8, data_uptr: data });
      alloc('own data', nested);
      alloc('data too long', { ...nested, data_len: 12, data_uptr: new Uint8Array(12) });
      alloc('data too short', { ...nested, data_len: 3 });
      alloc('bad data pointer', { ...nested, data_uptr: 0 });
      alloc('unknown table type', { ...nested, data_uptr: testAbi.iommu_hwpt_selftest.encode({ pagetable_type: 7 }) });
      alloc('fault id without', { flags: 4 });
      alloc('fault and nest parent', { flags: 5 });
      alloc('pasid', { flags: 8 });
      alloc('nested under automatic', { pt_id: hwpt, ...nested });
      alloc('nested under plain', { pt_id: 5, ...nested });
      const parent = alloc('parent', { flags: 1 });
      alloc('nested without data', { pt_id: parent });
      alloc('nested flags', { pt_id: parent, ...nested, flags: 1 });
      alloc('nested wrong data', { pt_id: parent, data_type: 1, data_len: 8, data_uptr: data });
      const child = alloc('nested', { pt_id: parent, ...nested });
      alloc('nested under nested', { pt_id: child, ...nested });
      destroy(kit, fd, parent, 'parent in use');
      const iotlb = (what: string, id: number, at: number, value: number): void => {
        kit.call(what, fd, iommuTest.MD_CHECK_IOTLB, { id, check_iotlb: { id: at, iotlb: value } });
      };
      iotlb('iotlb', child, 3, testAbi.IOMMU_TEST_IOTLB_DEFAULT);
      iotlb('iotlb wrong', child, 3, 0);
      iotlb('iotlb beyond', child, 4, testAbi.IOMMU_TEST_IOTLB_DEFAULT);
      iotlb('iotlb of parent', parent, 0, 0);
      const invalidate = (what: string, args: object): void => {
        kit.call(what, fd, abi.IOMMU_HWPT_INVALIDATE, { hwpt_id: child, data_type: 0xdead_beef, ...args }, [
          'entry_num',
        ]);
      };
      const entries = new Uint8Array(64);
      entries[4] = 1;
      entries[12] = 9;
      invalidate('nothing', {});
      invalidate('wrong type', { data_type: 1 });
      invalidate('two, one bad', { entry_num: 2, entry_len: 8, data_uptr: entries });
      iotlb('iotlb 1', child, 1, 0);
      iotlb('iotlb 0', child, 0, testAbi.IOMMU_TEST_IOTLB_DEFAULT);
      entries[0] = 1;
      invalidate('all', { entry_num: 1, entry_len: 8, data_uptr: entries });
      iotlb('iotlb 3', child, 3, 0);
      entries[0] = 2;
      invalidate('flag', { entry_num: 1, entry_len: 8, data_uptr: entries });
      invalidate('length 0', { entry_num: 1, entry_len: 0, data_uptr: entries });
      invalidate('length 7', { entry_num: 1, entry_len: 7, data_uptr: entries });
      invalidate('length 16', { entry_num: 1, entry_len: 16, data_uptr: entries });
      invalidate('length 4097', { entry_num: 1, entry_len: 4097, data_uptr: new Uint8Array(4097) });
      invalidate('no pointer', { entry_num: 1, entry_len: 8, data_uptr: 0 });
      invalidate('too many', { entry_num: 524289, entry_len: 8, data_uptr: new Uint8Array(8 * 524289) });
      invalidate('reserved', { entry_num: 5, entry_len: 8, data_uptr: entries, __reserved: 1 });
      invalidate('of a parent', { hwpt_id: parent });
      kit.call(
        'replace by nested',
        fd,
        iommuTest.MOCK_DOMAIN_REPLACE,
        { id: 2, mock_domain_replace: { pt_id: child } },
        ['mock_domain_replace'],
      );
      destroy(kit, fd, child, 'nested in use');
      destroy(kit, fd, 2, 'stdev');
      destroy(kit, fd, child, 'nested');
      destroy(kit, fd, parent, 'parent');
    },
  },
  {
    name: 'hardware info',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const { idev } = mockDomain(kit, fd, ioas);
      const info = (what: string, args: { [name: string]: unknown }, room = 8): void => {
        const data_uptr = new Uint8Array(room).fill(0xee);
        const all = { dev_id: idev, data_len: room, data_uptr, ...args };
        kit.call(what, fd, abi.IOMMU_GET_HW_INFO, all, [
          'data_len',
          'out_data_type',
          'out_capabilities',
          'out_max_pasid_log2',
        ]);
        kit.bytes(`${what} data`, data_uptr);
      };
      info('exact', {});
      info('more room', {}, 16);
      info('less room', {}, 4);
      info('no room', { data_uptr: 0 }, 0);
      info('bad pointer', { data_uptr: 0 });
      info('flags', { flags: 2 });
      info('reserved', { __reserved: [0, 1, 0] });
      info('bad id', { dev_id: ioas });
      info('type', { flags: 1, out_data_type: testAbi.IOMMU_HW_INFO_TYPE_SELFTEST });
      info('wrong type', { flags: 1, out_data_type: 1 });
      info('type ignored', { out_data_type: 1 });
      for (const dev_flags of [1, 4]) {
        const args = { id: ioas, mock_domain_flags: { dev_flags } };
        const { out } = kit.call(`flags ${dev_flags}`, fd, iommuTest.MOCK_DOMAIN_FLAGS, args, ['mock_domain_flags']);
        info(`with flags ${dev_flags}`, { dev_id: out.mock_domain_flags.out_idev_id });
      }
    },
  },
  {
    name: 'dirty pages',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const va = kit.map(64);
      kit.fill(va, 64 * PAGE, 1);
      const { idev, stdev, hwpt } = mockDomain(kit, fd, ioas);
      const track = (what: string, id: number, flags = 1): void => {
        kit.call(what, fd, abi.IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id: id, flags });
      };
      track('automatic', hwpt);
      const own = kit.call('with tracking', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: idev, pt_id: ioas, flags: 2 }, [
        'out_hwpt_id',
      ]).out.out_hwpt_id;
      kit.call('replace', fd, iommuTest.MOCK_DOMAIN_REPLACE, { id: stdev, mock_domain_replace: { pt_id: own } });
      // The same page again and again: pages that happen to lie side by side in memory would share an entry.
      for (let i = 0; i < 32; i++) map(kit, `map ${i}`, fd, ioas, va, PAGE, { iova: BASE + i * PAGE });
      const bitmapOf = (what: string, args: object, room = 8): void => {
        const data = new Uint8Array(room);
        const all = { hwpt_id: own, iova: BASE, length: PAGE * 32, page_size: PAGE, data, ...args };
        kit.call(what, fd, abi.IOMMU_HWPT_GET_DIRTY_BITMAP, all);
        kit.bytes(`${what} bits`, data.subarray(0, 8));
      };
      const dirty = (what: string, args: object, bits: readonly number[] = []): void => {
        const uptr = new Uint8Array(8);
        for (const bit of bits) uptr[bit >> 3]! |= 1 << (bit & 7);
        const inner = { iova: BASE, length: PAGE * 32, page_size: PAGE, uptr, ...args };
        kit.call(what, fd, iommuTest.DIRTY, { id: own, dirty: inner }, ['dirty.out_nr_dirty']);
      };
      dirty('before tracking', {}, [1]);
      bitmapOf('before tracking', {});
      track('on', own);
      track('on again', own);
      bitmapOf('clean', {});
      dirty('some', {}, [1, 2, 9, 31]);
      bitmapOf('kept', { flags: 1 });
      bitmapOf('halves', { flags: 1, page_size: 2048 });
      bitmapOf('doubles', { flags: 1, page_size: PAGE * 2 });
      bitmapOf('from the second', { flags: 1, iova: BASE + PAGE, length: PAGE * 31 });
      bitmapOf('the first two', { length: PAGE * 2 });
      bitmapOf('the rest', {});
      bitmapOf('nothing', {});
      dirty('halves', { page_size: 2048 }, [0, 5]);
      bitmapOf('of halves', { page_size: 2048 });
      dirty('some', {}, [1, 2, 9, 31]);
      dirty('past the end', { length: PAGE * 40 }, [39]);
      dirty('zero size', { page_size: 0 });
      dirty('zero length', { length: 0 });
      dirty('misaligned', { iova: BASE + 1 });
      dirty('bad id', {}, []);
      bitmapOf('flags', { flags: 2 });
      bitmapOf('length 0', { length: 0 });
      bitmapOf('wraps', { iova: U64, length: 2 });
      bitmapOf('misaligned', { iova: BASE + 1024 });
      bitmapOf('page size 0', { page_size: 0 });
      bitmapOf('page size 3', { page_size: 3 }, PAGE * 4);
      bitmapOf('bad id', { hwpt_id: ioas });
      bitmapOf('reserved', { __reserved: 1 });
      bitmapOf('with a gap', { length: PAGE * 64 }, 8);
      bitmapOf('outside', { iova: BASE + PAGE * 64, length: PAGE * 64 }, 8);
      track('off', own, 0);
      dirty('off', {}, [3]);
      track('flags', own, 2);
      const none = { id: ioas, mock_domain_flags: { dev_flags: 1 } };
      const flagged = kit.call('no dirty', fd, iommuTest.MOCK_DOMAIN_FLAGS, none, ['mock_domain_flags']).out
        .mock_domain_flags;
      kit.call('tracking without', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: flagged.out_idev_id, pt_id: ioas, flags: 2 });
      kit.call('attach tracking', fd, iommuTest.MOCK_DOMAIN_REPLACE, {
        id: flagged.out_stdev_id,
        mock_domain_replace: { pt_id: own },
      });
    },
  },
];
