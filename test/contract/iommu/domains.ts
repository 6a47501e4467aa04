/** An IOAS with page tables of the test driver: pinning, alignment, apertures, what is shared and what is counted. */

import * as abi from '../../../lib/abi/iommufd.ts';
import * as testAbi from '../../../lib/abi/iommufd-test.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, PROT_READ } from '../../../lib/abi/linux.ts';
import { BASE, checkMap, checkRefs, mockDomain } from './domain-calls.ts';
import { allow, copy, destroy, FIXED, map, mapFile, newIoas, R, ranges, U64, unmap, W } from './ioas-calls.ts';
import { PAGE, type Scenario } from './kit.ts';

const { iommuTest } = testAbi;

export const domains: Scenario[] = [
  {
    name: 'mock domains',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      mockDomain(kit, fd, 99, 'bad id');
      const first = mockDomain(kit, fd, ioas);
      const second = mockDomain(kit, fd, ioas);
      ranges(kit, 'ranges', fd, ioas);
      ranges(kit, 'no room', fd, ioas, 0);
      destroy(kit, fd, ioas, 'destroy ioas');
      destroy(kit, fd, first.hwpt, 'destroy hwpt');
      destroy(kit, fd, first.idev, 'destroy idev');
      mockDomain(kit, fd, first.hwpt, 'attach to hwpt');
      mockDomain(kit, fd, first.idev, 'attach to a device');
      destroy(kit, fd, first.stdev, 'destroy stdev');
      destroy(kit, fd, first.hwpt, 'hwpt still used');
      destroy(kit, fd, second.stdev, 'destroy stdev 2');
      destroy(kit, fd, 5, 'destroy stdev 3');
      destroy(kit, fd, first.hwpt, 'hwpt is gone');
      destroy(kit, fd, ioas, 'destroy ioas');
      newIoas(kit, fd);
      kit.call('flags', fd, iommuTest.MOCK_DOMAIN_FLAGS, { id: 1, mock_domain_flags: { dev_flags: 8 } });
      kit.call('op 0', fd, testAbi.IOMMU_TEST_CMD, { op: 0 });
      kit.call('op 24', fd, testAbi.IOMMU_TEST_CMD, { op: 24 });
      kit.call('limit', fd, iommuTest.SET_TEMP_MEMORY_LIMIT, { memory_limit: { limit: 11 } });
      kit.call('limit', fd, iommuTest.SET_TEMP_MEMORY_LIMIT, { memory_limit: { limit: 65536 } });
    },
  },
  {
    name: 'map with a domain',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const { hwpt, stdev } = mockDomain(kit, fd, ioas);
      const va = kit.map(16);
      const readOnly = kit.map(2, { prot: PROT_READ });
      const none = kit.map(1, { prot: 0 });
      kit.fill(va, 16 * PAGE, 1);
      map(kit, 'iova 0', fd, ioas, va, PAGE);
      map(kit, 'below', fd, ioas, va, PAGE, { iova: BASE - PAGE });
      map(kit, 'above', fd, ioas, va, PAGE, { iova: 0x8000_0000n });
      map(kit, 'misaligned length', fd, ioas, va, 1024, { iova: BASE });
      map(kit, 'misaligned iova', fd, ioas, va, 2048, { iova: BASE + 1024 });
      map(kit, 'misaligned va', fd, ioas, va + 1024n, 2048, { iova: BASE });
      map(kit, 'both misaligned', fd, ioas, va, 1024, { iova: BASE + 1024 });
      map(kit, 'half a page', fd, ioas, va + 2048n, 2048, { iova: BASE });
      checkMap(kit, 'check half', fd, hwpt, BASE, 2048, va + 2048n);
      checkMap(kit, 'check other half', fd, hwpt, BASE, 2048, va);
      checkRefs(kit, 'refs 1', fd, va, PAGE, 1);
      checkRefs(kit, 'refs 0', fd, va + 4096n, PAGE, 0);
      map(kit, 'crossing', fd, ioas, va + 2048n, 4096, { iova: BASE + 0x1000 });
      checkMap(kit, 'check crossing', fd, hwpt, BASE + 0x1000, 4096, va + 2048n);
      checkRefs(kit, 'refs 2', fd, va, PAGE, 2);
      map(kit, 'eight', fd, ioas, va, PAGE * 8, { iova: BASE + 0x1_0000 });
      checkMap(kit, 'check eight', fd, hwpt, BASE + 0x1_0000, PAGE * 8, va);
      checkMap(kit, 'check beyond', fd, hwpt, BASE + 0x1_0000, PAGE * 9, va);
      checkMap(kit, 'check odd', fd, hwpt, BASE + 0x1_0001, PAGE, va);
      checkMap(kit, 'check bad id', fd, 99, BASE, PAGE, va);
      checkMap(kit, 'check no memory', fd, hwpt, BASE + 0x1_0000, PAGE, 0x1000n);
      checkRefs(kit, 'refs 3', fd, va, PAGE, 3);
      checkRefs(kit, 'refs wrong', fd, va, PAGE, 2);
      checkRefs(kit, 'refs odd', fd, va + 1n, PAGE, 2);
      checkRefs(kit, 'refs no memory', fd, 0x1000n, PAGE, 2);
      map(kit, 'write to read only', fd, ioas, readOnly, PAGE, { iova: BASE + 0x2_0000 });
      map(kit, 'read of read only', fd, ioas, readOnly, PAGE, { iova: BASE + 0x2_0000, flags: FIXED | R });
      map(kit, 'PROT_NONE', fd, ioas, none, PAGE, { iova: BASE + 0x3_0000, flags: FIXED | R });
      map(kit, 'nothing there', fd, ioas, 0x1000n, PAGE, { iova: BASE + 0x3_0000 });
      map(kit, 'running out', fd, ioas, va + BigInt(15 * PAGE), PAGE * 2, { iova: BASE + 0x4_0000 });
      checkRefs(kit, 'refs after failure', fd, va + BigInt(15 * PAGE), PAGE, 0);
      unmap(kit, 'half of eight', fd, ioas, BASE + 0x1_0000, PAGE * 4);
      unmap(kit, 'eight', fd, ioas, BASE + 0x1_0000, PAGE * 8);
      checkRefs(kit, 'refs 2 again', fd, va, PAGE, 2);
      checkMap(kit, 'check unmapped', fd, hwpt, BASE + 0x1_0000, PAGE, va);
      unmap(kit, 'all', fd, ioas, 0, U64);
      checkRefs(kit, 'refs 0', fd, va, PAGE * 8, 0);
      destroy(kit, fd, stdev);
      ranges(kit, 'ranges', fd, ioas);
      map(kit, 'a byte', fd, ioas, va + 1n, 1, { iova: 1 });
    },
  },
  {
    name: 'auto with a domain',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      mockDomain(kit, fd, ioas);
      const file = kit.memfd(64 * PAGE);
      const where = (what: string, start: number, length: number): void => {
        mapFile(kit, what, fd, ioas, file, start, length, { flags: R | W });
      };
      where('page', 0, PAGE);
      where('half', 0, 2048);
      where('half at half', 2048, 2048);
      where('quarter', 1024, 1024);
      where('eight at eight', 8 * PAGE, 8 * PAGE);
      where('odd start', 512, 2048);
      allow(kit, 'allow', fd, ioas, [[0n, 0x2000n]]);
      allow(kit, 'allow inside', fd, ioas, [[0x200_0000n, 0x200_1fffn]]);
      where('allowed', 0, 2 * PAGE);
      where('no room', 0, PAGE);
      kit.call('reserve allowed', fd, iommuTest.ADD_RESERVED, {
        id: ioas,
        add_reserved: { start: 0x200_0000, length: PAGE },
      });
      kit.call('reserve mapped', fd, iommuTest.ADD_RESERVED, { id: ioas, add_reserved: { start: BASE, length: PAGE } });
      kit.call('reserve', fd, iommuTest.ADD_RESERVED, { id: ioas, add_reserved: { start: 0x300_0000, length: PAGE } });
      kit.call('reserve nothing', fd, iommuTest.ADD_RESERVED, {
        id: ioas,
        add_reserved: { start: 0x300_0000, length: 0 },
      });
      kit.call('reserve wraps', fd, iommuTest.ADD_RESERVED, { id: ioas, add_reserved: { start: U64, length: 2 } });
      kit.call('reserve bad id', fd, iommuTest.ADD_RESERVED, { id: 99, add_reserved: { start: 0, length: 2 } });
      ranges(kit, 'ranges', fd, ioas);
      map(kit, 'in reserved', fd, ioas, kit.map(1), PAGE, { iova: 0x300_0000 });
    },
  },
  {
    name: 'files with a domain',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const { hwpt } = mockDomain(kit, fd, ioas);
      const file = kit.memfd(4 * PAGE + 100);
      const view = kit.map(5, { fd: file });
      mapFile(kit, 'memfd', fd, ioas, file, 0, PAGE * 4, { iova: BASE });
      checkMap(kit, 'check', fd, hwpt, BASE, PAGE * 4, view);
      checkRefs(kit, 'refs', fd, view, PAGE * 4, 1);
      kit.log('blocks', String((kit.syscalls.fstatSync(file) as { blocks: bigint }).blocks));
      mapFile(kit, 'last partial page', fd, ioas, file, PAGE * 4, PAGE, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'half of it', fd, ioas, file, PAGE * 4, 2048, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'past the end', fd, ioas, file, PAGE * 5, PAGE, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'across the end', fd, ioas, file, PAGE * 3, PAGE * 2, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'start misaligned', fd, ioas, file, 1024, 2048, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'half at half', fd, ioas, file, 2048, 2048, { iova: BASE + 0x1_0000 });
      mapFile(kit, 'negative start', fd, ioas, file, 0x8000_0000_0000_0000n, PAGE, { iova: BASE + 0x2_0000 });
      mapFile(kit, 'itself', fd, ioas, fd, 0, PAGE, { iova: BASE + 0x2_0000 });
      mapFile(kit, 'bad fd', fd, ioas, 9999, 0, PAGE, { iova: BASE + 0x2_0000 });
      mapFile(kit, 'bad fd, misaligned', fd, ioas, 9999, 0, 100, { iova: BASE + 0x2_0000 });
      kit.call('change process', fd, abi.IOMMU_IOAS_CHANGE_PROCESS, {});
      kit.fill(view, PAGE, 0x55);
      kit.log('punch', kit.syscalls.fallocateSync(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0n, BigInt(PAGE)));
      kit.peek('zero', view);
      checkMap(kit, 'stale', fd, hwpt, BASE, PAGE, view);
      checkMap(kit, 'not stale', fd, hwpt, BASE + PAGE, PAGE, view + BigInt(PAGE));
      checkRefs(kit, 'a new page', fd, view, PAGE, 0);
      kit.log('truncate', kit.syscalls.ftruncateSync(file, 0n));
      unmap(kit, 'all', fd, ioas, 0, U64);
    },
  },
  {
    name: 'late pinning',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const file = kit.memfd(4 * PAGE);
      const va = kit.map(4);
      kit.fill(va, 4 * PAGE, 1);
      const attempt = (what: string, fill: (ioas: number) => void): void => {
        const ioas = newIoas(kit, fd);
        fill(ioas);
        mockDomain(kit, fd, ioas, `attach: ${what}`);
        unmap(kit, `all: ${what}`, fd, ioas, 0, U64);
        destroy(kit, fd, ioas);
      };
      attempt('good', (ioas) => map(kit, 'good', fd, ioas, va, PAGE, { iova: BASE }));
      attempt('bad address', (ioas) => map(kit, 'bad', fd, ioas, 0x1000n, PAGE, { iova: BASE }));
      attempt('good and bad', (ioas) => {
        map(kit, 'good', fd, ioas, va, PAGE, { iova: BASE });
        map(kit, 'bad', fd, ioas, 0x1000n, PAGE, { iova: BASE + PAGE });
      });
      checkRefs(kit, 'nothing left', fd, va, PAGE, 0);
      attempt('pipe or such', (ioas) => mapFile(kit, 'itself', fd, ioas, fd, 0, PAGE, { iova: BASE }));
      attempt('past the end', (ioas) => mapFile(kit, 'file', fd, ioas, file, 0, PAGE * 5, { iova: BASE }));
      attempt('below the aperture', (ioas) => map(kit, 'low', fd, ioas, va, PAGE, { iova: 0x1000 }));
      attempt('misaligned', (ioas) => map(kit, 'odd', fd, ioas, va, 1024, { iova: BASE }));
      attempt('misaligned offset', (ioas) => map(kit, 'odd', fd, ioas, va + 1024n, 2048, { iova: BASE }));
      attempt('allowed outside', (ioas) => allow(kit, 'allow', fd, ioas, [[0n, 0xfffn]]));
      attempt('allowed across', (ioas) => allow(kit, 'allow', fd, ioas, [[0n, 0x200_0000n]]));
      attempt('allowed inside', (ioas) => allow(kit, 'allow', fd, ioas, [[0x200_0000n, 0x200_0fffn]]));
    },
  },
  {
    name: 'two domains and a copy',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const [a, b] = [newIoas(kit, fd), newIoas(kit, fd)];
      const va = kit.map(8);
      kit.fill(va, 8 * PAGE, 1);
      const first = mockDomain(kit, fd, a);
      map(kit, 'map', fd, a, va, PAGE * 4, { iova: BASE });
      const other = kit.call('own hwpt', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: first.idev, pt_id: a }, ['out_hwpt_id'])
        .out.out_hwpt_id;
      checkMap(kit, 'check 1', fd, first.hwpt, BASE, PAGE * 4, va);
      checkMap(kit, 'check 2', fd, other, BASE, PAGE * 4, va);
      checkRefs(kit, 'one pin', fd, va, PAGE * 4, 1);
      const second = mockDomain(kit, fd, b);
      copy(kit, 'copy', fd, a, b, BASE + PAGE, PAGE * 2, { iova: BASE + 0x1_0000 });
      checkMap(kit, 'check copy', fd, second.hwpt, BASE + 0x1_0000, PAGE * 2, va + BigInt(PAGE));
      checkRefs(kit, 'still one pin', fd, va, PAGE * 4, 1);
      unmap(kit, 'original', fd, a, BASE, PAGE * 4);
      checkRefs(kit, 'what the copy has', fd, va + BigInt(PAGE), PAGE * 2, 1);
      checkRefs(kit, 'what it has not', fd, va, PAGE, 0);
      map(kit, 'twice', fd, a, va, PAGE, { iova: BASE });
      map(kit, 'twice', fd, a, va, PAGE, { iova: BASE + PAGE });
      checkRefs(kit, 'two pins', fd, va, PAGE, 2);
      copy(kit, 'copy misaligned', fd, a, b, BASE + 1024, 2048, { iova: BASE + 0x2_0000 });
      copy(kit, 'copy half', fd, a, b, BASE + 2048, 2048, { iova: BASE + 0x2_0000 });
      checkMap(kit, 'check half', fd, second.hwpt, BASE + 0x2_0000, 2048, va + 2048n);
      destroy(kit, fd, other, 'own hwpt');
      destroy(kit, fd, first.stdev, 'first device');
      checkRefs(kit, 'held by the copy', fd, va, PAGE, 1);
      destroy(kit, fd, second.stdev, 'second device');
      checkRefs(kit, 'no pins', fd, va, PAGE * 4, 0);
      mockDomain(kit, fd, a, 'attach again');
      checkRefs(kit, 'pinned again', fd, va, PAGE, 2);
    },
  },
  {
    name: 'replace',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const [a, b] = [newIoas(kit, fd), newIoas(kit, fd)];
      const va = kit.map(4);
      const first = mockDomain(kit, fd, a);
      const replace = (what: string, id: number, pt_id: number): void => {
        kit.call(what, fd, iommuTest.MOCK_DOMAIN_REPLACE, { id, mock_domain_replace: { pt_id } }, [
          'mock_domain_replace',
        ]);
      };
      replace('same', first.stdev, a);
      replace('other ioas', first.stdev, b);
      destroy(kit, fd, first.hwpt, 'old hwpt');
      destroy(kit, fd, a, 'old ioas');
      replace('bad device', 99, b);
      replace('bad table', first.stdev, 99);
      replace('a device', first.stdev, first.idev);
      const own = kit.call('own hwpt', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: first.idev, pt_id: b }, ['out_hwpt_id']).out
        .out_hwpt_id;
      replace('own', first.stdev, own);
      destroy(kit, fd, own, 'own in use');
      const low = newIoas(kit, fd);
      map(kit, 'low', fd, low, va, PAGE, { iova: 0 });
      replace('does not fit', first.stdev, low);
      replace('same own', first.stdev, own);
      map(kit, 'map', fd, b, va, PAGE, { iova: BASE });
      checkMap(kit, 'check', fd, own, BASE, PAGE, va);
      destroy(kit, fd, first.stdev, 'device');
      destroy(kit, fd, own, 'own');
      destroy(kit, fd, b, 'ioas');
    },
  },
  {
    name: 'large pages off',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const ioas = newIoas(kit, fd);
      const va = kit.map(4);
      const { stdev } = mockDomain(kit, fd, ioas);
      const option = (what: string, val64: number): void => {
        kit.call(what, fd, abi.IOMMU_OPTION, { option_id: 1, op: 0, object_id: ioas, val64 }, ['val64']);
      };
      option('off', 0);
      ranges(kit, 'ranges', fd, ioas);
      map(kit, 'half a page', fd, ioas, va, 2048, { iova: BASE });
      map(kit, 'a page', fd, ioas, va, PAGE, { iova: BASE });
      option('off again', 0);
      option('on', 1);
      option('off with areas', 0);
      ranges(kit, 'ranges', fd, ioas);
      destroy(kit, fd, stdev);
      ranges(kit, 'ranges', fd, ioas);
      option('off', 0);
    },
  },
];
