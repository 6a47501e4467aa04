/** An IOAS without anything attached to it. */

import * as abi from '../../../lib/abi/iommufd.ts';
import { allow, copy, destroy, FIXED, map, mapFile, newIoas, R, ranges, U64, unmap, W } from './ioas-calls.ts';
import { PAGE, type Scenario } from './kit.ts';

export const ioas: Scenario[] = [
  {
    name: 'ids',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      for (let i = 0; i < 3; i++) newIoas(kit, fd);
      kit.call('ioas flags', fd, abi.IOMMU_IOAS_ALLOC, { flags: 1 }, ['out_ioas_id']);
      for (const id of [0, 2, 2, 9999, 0xffff_ffff]) destroy(kit, fd, id);
      newIoas(kit, fd);
      destroy(kit, fd, 1);
      destroy(kit, fd, 3);
      newIoas(kit, fd);
      newIoas(kit, fd);
      newIoas(kit, fd);
    },
  },
  {
    name: 'map without a domain',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      const va = kit.map(8);
      const [none, wrong] = [kit.map(1, { prot: 0 }), 0x7000n];
      map(kit, 'flag 8', fd, id, va, PAGE, { flags: FIXED | R | 8 });
      map(kit, 'reserved', fd, id, va, PAGE, { __reserved: 1 });
      map(kit, 'flag 8, iova U64_MAX', fd, id, va, PAGE, { flags: 8, iova: U64 });
      map(kit, 'iova U64_MAX', fd, id, va, PAGE, { iova: U64 });
      map(kit, 'length U64_MAX', fd, id, va, U64);
      map(kit, 'length U64_MAX, no access', fd, id, va, U64, { flags: FIXED });
      map(kit, 'no access', fd, id, va, PAGE, { flags: FIXED });
      map(kit, 'no access, bad id', fd, 99, va, PAGE, { flags: FIXED });
      map(kit, 'bad id', fd, 99, va, PAGE);
      map(kit, 'bad id, length 0', fd, 99, va, 0);
      map(kit, 'bad id, wrap', fd, 99, U64 - 10n, 100);
      map(kit, 'va wraps', fd, id, U64 - 10n, 100);
      map(kit, 'va wraps, length 0', fd, id, U64, 0);
      map(kit, 'length 0', fd, id, va, 0);
      map(kit, 'length U64_MAX - 1', fd, id, 0n, U64 - 1n);
      map(kit, 'iova wraps', fd, id, va, PAGE * 2, { iova: U64 - 0xfffn });
      map(kit, 'last page', fd, id, va, PAGE, { iova: U64 - 0xfffn });
      map(kit, 'iova 0', fd, id, va, PAGE);
      map(kit, 'exists', fd, id, va, PAGE);
      map(kit, 'exists in part', fd, id, va, PAGE * 2, { iova: 0xfff });
      map(kit, 'a byte', fd, id, va + 3n, 1, { iova: 0x1_0001 });
      map(kit, 'odd', fd, id, va + 7n, 1234, { iova: 0x2_0013, flags: FIXED | R });
      map(kit, 'PROT_NONE', fd, id, none, PAGE, { iova: 0x3_0000 });
      map(kit, 'nothing there', fd, id, wrong, PAGE, { iova: 0x4_0000 });
      map(kit, 'null', fd, id, 0n, PAGE, { iova: 0x5_0000 });
      ranges(kit, 'ranges', fd, id);
      destroy(kit, fd, id);
    },
  },
  {
    name: 'unmap',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      const va = kit.map(8);
      unmap(kit, 'all of nothing', fd, id, 0, U64);
      unmap(kit, 'nothing', fd, id, 0x1000, PAGE);
      unmap(kit, 'length 0', fd, id, 0x1000, 0);
      unmap(kit, 'length 0, bad id', fd, 77, 0x1000, 0);
      unmap(kit, 'iova 1, length U64_MAX', fd, id, 1, U64);
      unmap(kit, 'U64_MAX, bad id', fd, 77, U64, U64);
      unmap(kit, 'iova U64_MAX', fd, id, U64, 1);
      unmap(kit, 'wraps', fd, id, U64 - 1n, 10);
      const areas = (): void => {
        for (let i = 0; i < 4; i++) map(kit, `area ${i}`, fd, id, va, PAGE * 4, { iova: 0x1_0000 * (i + 1) });
      };
      areas();
      unmap(kit, 'head half', fd, id, 0x1_0000, PAGE * 2);
      unmap(kit, 'tail half', fd, id, 0x1_2000, PAGE * 2);
      unmap(kit, 'middle', fd, id, 0x1_1000, PAGE * 2);
      unmap(kit, 'two and a half', fd, id, 0x1_0000, 0x2_2000);
      unmap(kit, 'what is left', fd, id, 0x1_0000, 0x2_0000);
      unmap(kit, 'superset', fd, id, 0x2_8000, 0x2_8000);
      unmap(kit, 'again', fd, id, 0x2_8000, 0x2_8000);
      areas();
      unmap(kit, 'exact', fd, id, 0x2_0000, PAGE * 4);
      unmap(kit, 'half before', fd, id, 0x1_2000, 0x4_0000);
      unmap(kit, 'all', fd, id, 0, U64);
      unmap(kit, 'all again', fd, id, 0, U64);
    },
  },
  {
    name: 'the kernel chooses',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      const file = kit.memfd(64 * PAGE);
      const auto = R | W;
      const where = (what: string, start: number, length: number | bigint): void => {
        mapFile(kit, what, fd, id, file, start, length, { flags: auto });
      };
      where('a page', 0, PAGE);
      where('a page at 1', PAGE, PAGE);
      where('two at 1', PAGE, 2 * PAGE);
      where('four at 0', 0, 4 * PAGE);
      where('four at 4', 4 * PAGE, 4 * PAGE);
      where('3 bytes at 5', 5, 3);
      where('16 at 16', 16 * PAGE, 16 * PAGE);
      where('2 MiB at 0', 0, 0x20_0000);
      where('half of everything', 0, 0x7fff_ffff_ffff_ffffn);
      where('length 0', 0, 0);
      mapFile(kit, 'in the way', fd, id, file, 0, PAGE, { iova: 0x8000 });
      where('a page again', 0, PAGE);
      where('and again', 0, PAGE);
      unmap(kit, 'give one back', fd, id, 0x1000, PAGE);
      where('a page', 0, PAGE);
      allow(kit, 'allow', fd, id, [
        [0x10_0000n, 0x10_3fffn],
        [0x20_0000n, 0x20_0fffn],
      ]);
      where('allowed 1', 0, PAGE);
      where('allowed 2', 0, 2 * PAGE);
      where('allowed 3', PAGE, PAGE);
      where('allowed 4', 0, PAGE);
      where('allowed 5', 0, PAGE);
      where('allowed 6', 0, PAGE);
      where('allowed 7', 0, PAGE);
      mapFile(kit, 'fixed elsewhere', fd, id, file, 0, PAGE, { iova: 0x30_0000 });
      allow(kit, 'allow everything', fd, id, []);
      where('free again', 0, PAGE);
      allow(kit, 'allow a huge one', fd, id, [[0n, U64]]);
      where('in it', 0, PAGE);
    },
  },
  {
    name: 'allow and ranges',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      allow(kit, 'one byte', fd, id, [[5n, 5n]]);
      allow(kit, 'backwards', fd, id, [[6n, 5n]]);
      allow(kit, 'two bytes', fd, id, [[5n, 6n]]);
      allow(kit, 'overlapping', fd, id, [
        [0n, 100n],
        [100n, 200n],
      ]);
      allow(kit, 'bad id', fd, 9, [[0n, 1n]]);
      kit.call('reserved', fd, abi.IOMMU_IOAS_ALLOW_IOVAS, { ioas_id: id, __reserved: 1 });
      kit.call('bad pointer', fd, abi.IOMMU_IOAS_ALLOW_IOVAS, { ioas_id: id, num_iovas: 1, allowed_iovas: 0 });
      ranges(kit, 'ranges', fd, id);
      ranges(kit, 'no room', fd, id, 0);
      ranges(kit, 'bad id', fd, 9);
      kit.call('ranges reserved', fd, abi.IOMMU_IOAS_IOVA_RANGES, { ioas_id: id, __reserved: 1 });
      kit.call('ranges bad pointer', fd, abi.IOMMU_IOAS_IOVA_RANGES, { ioas_id: id, num_iovas: 4, allowed_iovas: 0 });
    },
  },
  {
    name: 'copy',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const [a, b] = [newIoas(kit, fd), newIoas(kit, fd)];
      const va = kit.map(16);
      map(kit, 'area 1', fd, a, va, PAGE * 4, { iova: 0x1_0000 });
      map(kit, 'area 2', fd, a, va, PAGE * 4, { iova: 0x1_4000 });
      map(kit, 'read only', fd, a, va, PAGE * 4, { iova: 0x3_0000, flags: FIXED | R });
      copy(kit, 'exact', fd, a, b, 0x1_0000, PAGE * 4, { iova: 0x10_0000 });
      copy(kit, 'part', fd, a, b, 0x1_1000, PAGE * 2, { iova: 0x20_0000 });
      copy(kit, 'two areas', fd, a, b, 0x1_2000, PAGE * 4, { iova: 0x30_0000 });
      copy(kit, 'gap', fd, a, b, 0x1_4000, PAGE * 5, { iova: 0x40_0000 });
      copy(kit, 'exists', fd, a, b, 0x1_0000, PAGE, { iova: 0x10_0000 });
      copy(kit, 'write on read only', fd, a, b, 0x3_0000, PAGE, { iova: 0x50_0000 });
      copy(kit, 'read', fd, a, b, 0x3_0000, PAGE, { iova: 0x50_0000, flags: FIXED | R });
      copy(kit, 'length 0', fd, a, b, 0x1_0000, 0, { iova: 0x60_0000 });
      copy(kit, 'no access', fd, a, b, 0x1_0000, PAGE, { iova: 0x60_0000, flags: FIXED });
      copy(kit, 'flags', fd, a, b, 0x1_0000, PAGE, { flags: 16 });
      copy(kit, 'bad from', fd, 9, b, 0x1_0000, PAGE);
      copy(kit, 'bad to', fd, a, 9, 0x1_0000, PAGE);
      copy(kit, 'bad both, gap', fd, a, 9, 0x9_0000, PAGE);
      copy(kit, 'U64_MAX', fd, a, b, U64, PAGE);
      copy(kit, 'wraps', fd, a, b, U64 - 1n, 10);
      copy(kit, 'to itself', fd, a, a, 0x1_0000, PAGE * 4, { iova: 0x70_0000 });
      unmap(kit, 'the original', fd, a, 0x1_0000, PAGE * 8);
      copy(kit, 'of the copy', fd, b, a, 0x10_0000, PAGE * 4, { iova: 0x1_0000 });
      unmap(kit, 'cut points stay', fd, b, 0x30_0000, PAGE * 2);
      unmap(kit, 'the other piece', fd, b, 0x30_2000, PAGE * 2);
      copy(kit, 'auto', fd, b, a, 0x10_0000, PAGE, { flags: R });
      unmap(kit, 'all', fd, b, 0, U64);
      unmap(kit, 'all', fd, a, 0, U64);
    },
  },
  {
    name: 'file without a domain',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      const file = kit.memfd(4 * PAGE);
      mapFile(kit, 'memfd', fd, id, file, 0, PAGE, { iova: 0x1000 });
      mapFile(kit, 'odd', fd, id, file, 3, 5, { iova: 0x3003 });
      mapFile(kit, 'past the end', fd, id, file, PAGE * 3, PAGE * 4, { iova: 0x1_0000 });
      mapFile(kit, 'itself', fd, id, fd, 0, PAGE, { iova: 0x2_0000 });
      mapFile(kit, 'bad fd', fd, id, 9999, 0, PAGE, { iova: 0x3_0000 });
      mapFile(kit, 'fd -1', fd, id, -1, 0, PAGE, { iova: 0x3_0000 });
      mapFile(kit, 'bad fd, length 0', fd, id, 9999, 0, 0, { iova: 0x3_0000 });
      mapFile(kit, 'bad fd, wraps', fd, id, 9999, U64, 2, { iova: 0x3_0000 });
      mapFile(kit, 'bad fd, bad id', fd, 9, 9999, 0, PAGE, { iova: 0x3_0000 });
      mapFile(kit, 'flags', fd, id, file, 0, PAGE, { flags: 8 });
      mapFile(kit, 'no access', fd, id, file, 0, PAGE, { flags: FIXED });
      mapFile(kit, 'U64_MAX', fd, id, file, 0, U64);
      mapFile(kit, 'exists', fd, id, file, 0, PAGE, { iova: 0x1000 });
      kit.call('change process', fd, abi.IOMMU_IOAS_CHANGE_PROCESS, {});
      kit.call('change process reserved', fd, abi.IOMMU_IOAS_CHANGE_PROCESS, { __reserved: 1 });
      map(kit, 'an address', fd, id, kit.map(1), PAGE, { iova: 0x9_0000 });
      kit.call('change process', fd, abi.IOMMU_IOAS_CHANGE_PROCESS, {});
    },
  },
  {
    name: 'options',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const option = (
        what: string,
        args: { option_id?: number; op?: number; __reserved?: number; object_id?: number; val64?: bigint | number },
      ): void => {
        kit.call(what, fd, abi.IOMMU_OPTION, args, ['val64']);
      };
      option('rlimit get', { op: 1, val64: 7 });
      option('rlimit set 1', { val64: 1 });
      option('rlimit get', { op: 1 });
      option('rlimit set 2', { val64: 2 });
      option('rlimit set 0', { val64: 0 });
      option('rlimit object', { op: 1, object_id: 1 });
      option('rlimit op 2', { op: 2 });
      option('reserved', { op: 1, __reserved: 1 });
      option('option 2', { option_id: 2, op: 1 });
      option('huge pages without', { option_id: 1, op: 1, object_id: 1 });
      const id = newIoas(kit, fd);
      option('rlimit set with objects', { val64: 1 });
      option('rlimit get', { op: 1 });
      option('rlimit set 2 with objects', { val64: 2 });
      option('huge pages get', { option_id: 1, op: 1, object_id: id });
      option('huge pages set 0', { option_id: 1, op: 0, object_id: id, val64: 0 });
      ranges(kit, 'ranges', fd, id);
      option('huge pages get', { option_id: 1, op: 1, object_id: id });
      map(kit, 'a byte', fd, id, kit.map(1), 1, { iova: 0 });
      option('huge pages set 1', { option_id: 1, op: 0, object_id: id, val64: 1 });
      option('huge pages set 2', { option_id: 1, op: 0, object_id: id, val64: 2 });
      option('huge pages op 3', { option_id: 1, op: 3, object_id: id });
      map(kit, 'a byte', fd, id, kit.map(1), 1, { iova: 0 });
      option('huge pages set 0, misaligned area', { option_id: 1, op: 0, object_id: id, val64: 0 });
    },
  },
  {
    name: 'vfio ioas',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const vfio = (what: string, args: { ioas_id?: number; op?: number; __reserved?: number }): void => {
        kit.call(what, fd, abi.IOMMU_VFIO_IOAS, args, ['ioas_id']);
      };
      vfio('get', { op: 0 });
      vfio('clear', { op: 2 });
      vfio('set bad', { op: 1, ioas_id: 1 });
      vfio('op 3', { op: 3 });
      vfio('reserved', { op: 0, __reserved: 1 });
      const id = newIoas(kit, fd);
      vfio('set', { op: 1, ioas_id: id });
      vfio('get', { op: 0 });
      destroy(kit, fd, id);
      vfio('get', { op: 0 });
    },
  },
  {
    name: 'without devices',
    run: (kit) => {
      const fd = kit.open('/dev/iommu');
      const id = newIoas(kit, fd);
      kit.call('hwpt bad device', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: 1, pt_id: id });
      kit.call('hwpt reserved', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: 9, __reserved: 1 });
      kit.call('hwpt data', fd, abi.IOMMU_HWPT_ALLOC, { dev_id: 9, data_len: 4 });
      kit.call('info', fd, abi.IOMMU_GET_HW_INFO, { dev_id: 9 });
      kit.call('info flags', fd, abi.IOMMU_GET_HW_INFO, { dev_id: 9, flags: 2 });
      kit.call('tracking', fd, abi.IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id: id });
      kit.call('tracking flags', fd, abi.IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id: id, flags: 2 });
      kit.call('bitmap', fd, abi.IOMMU_HWPT_GET_DIRTY_BITMAP, { hwpt_id: id });
      kit.call('bitmap flags', fd, abi.IOMMU_HWPT_GET_DIRTY_BITMAP, { hwpt_id: id, flags: 2 });
      kit.call('invalidate', fd, abi.IOMMU_HWPT_INVALIDATE, { hwpt_id: id, entry_num: 0 }, ['entry_num']);
      kit.call('invalidate entries', fd, abi.IOMMU_HWPT_INVALIDATE, { hwpt_id: id, entry_num: 3 }, ['entry_num']);
      kit.call('invalidate reserved', fd, abi.IOMMU_HWPT_INVALIDATE, { hwpt_id: 9, entry_num: 3, __reserved: 1 }, [
        'entry_num',
      ]);
      kit.call('viommu', fd, abi.IOMMU_VIOMMU_ALLOC, { type: 1, dev_id: 9 });
      kit.call('viommu type 0', fd, abi.IOMMU_VIOMMU_ALLOC, { type: 0, dev_id: 9 });
      kit.call('vdevice', fd, abi.IOMMU_VDEVICE_ALLOC, { viommu_id: 9, dev_id: 9 });
      kit.call('veventq', fd, abi.IOMMU_VEVENTQ_ALLOC, { viommu_id: 9, type: 1, veventq_depth: 1 });
      kit.call('veventq type 0', fd, abi.IOMMU_VEVENTQ_ALLOC, { viommu_id: 9, veventq_depth: 1 });
      kit.call('veventq depth', fd, abi.IOMMU_VEVENTQ_ALLOC, { viommu_id: 9, type: 1 });
      kit.call('queue', fd, abi.IOMMU_HW_QUEUE_ALLOC, { viommu_id: 9, type: 1, length: 1 });
      kit.call('queue length', fd, abi.IOMMU_HW_QUEUE_ALLOC, { viommu_id: 9, type: 1 });
      kit.call('queue wraps', fd, abi.IOMMU_HW_QUEUE_ALLOC, {
        viommu_id: 9,
        type: 1,
        length: 5,
        nesting_parent_iova: U64,
      });
      kit.call('queue type 0', fd, abi.IOMMU_HW_QUEUE_ALLOC, { viommu_id: 9 });
      map(kit, 'something', fd, id, kit.map(1), PAGE);
      const pa = (
        what: string,
        args: { flags?: number; ioas_id?: number; __reserved?: number; iova?: bigint | number; length?: number },
      ): void => {
        kit.call(what, fd, abi.IOMMU_IOAS_NOIOMMU_GET_PA, { ioas_id: id, length: 1, ...args });
      };
      pa('pa', {});
      pa('pa nothing', { iova: 0x10_0000 });
      pa('pa length', { length: 0, ioas_id: 9 });
      pa('pa flags', { flags: 1, length: 0 });
      pa('pa iova', { iova: U64, ioas_id: 9 });
      pa('pa bad id', { ioas_id: 9 });
      const fault = kit.call('fault queue', fd, abi.IOMMU_FAULT_QUEUE_ALLOC, {}, ['out_fault_id']).out;
      kit.keep(fault.out_fault_fd);
      destroy(kit, fd, fault.out_fault_id);
      kit.log('read', kit.syscalls.readSync(fault.out_fault_fd, new Uint8Array(40)));
      kit.log('read 39', kit.syscalls.readSync(fault.out_fault_fd, new Uint8Array(39)));
      kit.log('write', kit.syscalls.writeSync(fault.out_fault_fd, new Uint8Array(8)));
      kit.log('write 7', kit.syscalls.writeSync(fault.out_fault_fd, new Uint8Array(7)));
      kit.close(fault.out_fault_fd);
      destroy(kit, fd, fault.out_fault_id);
      kit.call('fault queue flags', fd, abi.IOMMU_FAULT_QUEUE_ALLOC, { flags: 1 });
    },
  },
];
