/** iommufd's and VFIO's structs tell their own size, point to buffers, and are followed by capabilities. */

import { describe, expect, test } from 'vitest';
import {
  capabilityChain,
  findCapability,
  IOMMU_GET_HW_INFO,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_IOAS_IOVA_RANGES,
  IOMMU_IOAS_MAP,
  IOMMU_TEST_CMD,
  IOMMU_VEVENTQ_ALLOC,
  IOMMU_VIOMMU_ALLOC,
  ioctls,
  iommuTest,
  pointersIn,
  type SizedStruct,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT,
  VFIO_DEVICE_BIND_IOMMUFD,
  VFIO_DEVICE_DETACH_IOMMUFD_PT,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IOMMU_GET_INFO,
  vfio_info_cap_header,
  vfioDmaAvailable,
  vfioIovaRanges,
  vfioMigration,
  vfioWithBitmap,
} from '../../lib/abi/index.ts';
import { pointerExtent } from '../../lib/abi/pointer-extents.ts';

const u32At = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);

describe('sizes', () => {
  test('are filled in, and a caller may say another', () => {
    expect(u32At(IOMMU_IOAS_MAP.struct.encode({ length: 4096n }), 0)).toBe(40);
    expect(u32At(IOMMU_IOAS_MAP.struct.encode({ size: 7 }), 0)).toBe(7);
    expect(u32At(VFIO_IOMMU_GET_INFO.struct.encode({ argsz: 0 }), 0)).toBe(0);
  });

  test('count what follows the struct', () => {
    const bytes = VFIO_DEVICE_SET_IRQS.struct.encodeWith({ flags: 1, count: 2 }, Uint8Array.of(1, 2, 3));
    expect([bytes.byteLength, u32At(bytes, 0), ...bytes.subarray(20)]).toEqual([23, 23, 1, 2, 3]);
    expect(u32At(VFIO_IOMMU_GET_INFO.struct.encodeWith({}, 488), 0)).toBe(512);
  });

  test('may be smaller where a struct has grown', () => {
    const grown: readonly (readonly [{ readonly struct: unknown }, number])[] = [
      [IOMMU_HWPT_ALLOC, 24],
      [IOMMU_GET_HW_INFO, 32],
      [IOMMU_VIOMMU_ALLOC, 24],
      [IOMMU_VEVENTQ_ALLOC, 28],
      [VFIO_IOMMU_GET_INFO, 16],
      [VFIO_DEVICE_GET_INFO, 16],
      [VFIO_DEVICE_BIND_IOMMUFD, 16],
      [VFIO_DEVICE_ATTACH_IOMMUFD_PT, 12],
      [VFIO_DEVICE_DETACH_IOMMUFD_PT, 8],
    ];
    for (const [{ struct }, minimum] of grown) expect(struct).toMatchObject({ minimum });
    const others = ioctls.filter(
      ({ ioctl }) => 'minimum' in (ioctl.struct ?? {}) && !grown.some(([it]) => it.struct === ioctl.struct),
    );
    for (const { name, ioctl } of others) {
      const { minimum, size } = ioctl.struct as unknown as SizedStruct;
      // Those whose last field has been followed by padding since they came.
      const padding = PADDED.includes(name) ? 4 : 0;
      expect([name, minimum]).toEqual([name, size - padding]);
    }
  });
});

const PADDED = ['VFIO_DEVICE_IOEVENTFD', 'IOMMU_TEST_CMD'];

describe('operations of IOMMU_TEST_CMD', () => {
  test.each(Object.entries(iommuTest))('%s is its struct with one member of the union', (_, { struct, op, arm }) => {
    const decoded = IOMMU_TEST_CMD.struct.decode(struct.encode({}));
    expect(decoded).toMatchObject({ size: 72, op, __union: Array(6).fill(0n) });
    const { name, offset } = struct.fields[4]!;
    expect([`iommu_test_cmd.${name}`, offset, struct.size]).toEqual([arm.name, 16, IOMMU_TEST_CMD.struct.size]);
    expect(struct.fields.at(-1)).toMatchObject({ name: 'last', offset: 64 });
  });

  test('are numbered as the kernel counts them', () => {
    expect(Object.values(iommuTest).map(({ op }) => op)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
  });
});

describe('pointers', () => {
  const buffer = new Uint8Array(64);

  test('are taken from the values, an address stays as it is', () => {
    const { struct } = IOMMU_IOAS_IOVA_RANGES;
    expect(pointersIn(struct as never, { allowed_iovas: buffer })).toEqual([{ at: 16, to: buffer }]);
    expect(pointersIn(struct as never, { allowed_iovas: 0x1000n })).toEqual([]);
    expect(struct.decode(struct.encode({ allowed_iovas: buffer })).allowed_iovas).toBe(0n);
    expect(struct.decode(struct.encode({ allowed_iovas: 0x1000n })).allowed_iovas).toBe(0x1000n);
  });

  test('are found in structs in structs', () => {
    const { DIRTY_PAGES } = vfioWithBitmap;
    const values = { get: { bitmap: { size: 64n, data: buffer } } };
    expect(pointersIn(DIRTY_PAGES.struct as never, values)).toEqual([{ at: 40, to: buffer }]);
    expect(pointerExtent(DIRTY_PAGES.request, DIRTY_PAGES.struct.encode(values), 40)).toBe(64);
    const { MD_CHECK_MAP } = iommuTest;
    expect(pointersIn(MD_CHECK_MAP.struct as never, { check_map: { uptr: buffer } })).toEqual([{ at: 32, to: buffer }]);
  });

  test('reach as far as the struct says', () => {
    const ranges = IOMMU_IOAS_IOVA_RANGES.struct.encode({ num_iovas: 5 });
    expect(pointerExtent(IOMMU_IOAS_IOVA_RANGES.request, ranges, 16)).toBe(80);
    expect(pointerExtent(IOMMU_IOAS_IOVA_RANGES.request, ranges, 8)).toBe(0);
    const bitmap = { iova: 0n, length: 65n * 4096n, page_size: 4096n };
    const { struct, request } = IOMMU_HWPT_GET_DIRTY_BITMAP;
    expect(pointerExtent(request, struct.encode(bitmap), 40)).toBe(16);
    expect(pointerExtent(request, struct.encode({ ...bitmap, page_size: 0n }), 40)).toBe(0);
  });

  test('of a union are those of the operation', () => {
    const { MD_CHECK_REFS, MD_CHECK_MAP } = iommuTest;
    const refs = MD_CHECK_REFS.struct.encode({ check_refs: { length: 100n } });
    expect(pointerExtent(MD_CHECK_REFS.request, refs, 24)).toBe(100);
    const map = MD_CHECK_MAP.struct.encode({ check_map: { iova: 100n, length: 7n } });
    expect([24, 32].map((at) => pointerExtent(MD_CHECK_MAP.request, map, at))).toEqual([0, 7]);
  });
});

describe('the chain of capabilities', () => {
  const SIZE = VFIO_IOMMU_GET_INFO.struct.size;

  /** What Linux 7.3 answers for a type1 container: MIGRATION, DMA_AVAIL, IOVA_RANGE, at 24, 56 and 72. */
  function asMeasured(): Uint8Array {
    const bytes = new Uint8Array(512);
    const migration = { pgsize_bitmap: 0x1000n, max_dirty_bitmap_size: 0x1000_0000n };
    bytes.set(vfioMigration.struct.encode({ header: { id: 2, version: 1, next: 56 }, ...migration }), 24);
    bytes.set(vfioDmaAvailable.struct.encode({ header: { id: 3, version: 1, next: 72 }, avail: 65535 }), 56);
    bytes.set(vfioIovaRanges.struct.encode({ header: { id: 1, version: 1 }, nr_iovas: 2 }), 72);
    const ranges = [
      { start: 0n, end: 0xfedf_ffffn },
      { start: 0xfef0_0000n, end: 0x7f_ffff_ffffn },
    ];
    ranges.forEach((range, i) => {
      bytes.set(vfioIovaRanges.entries.struct.encode(range), 88 + i * 16);
    });
    return bytes;
  }

  test('is walked in its own order', () => {
    const chain = capabilityChain(asMeasured(), 24, SIZE);
    expect(chain.map(({ id, offset, bytes }) => [id, offset, bytes.byteLength])).toEqual([
      [2, 24, 32],
      [3, 56, 16],
      [1, 72, 440],
    ]);
    expect(findCapability(chain, vfioDmaAvailable)).toMatchObject({ avail: 65535, entries: [] });
    expect(findCapability(chain, vfioIovaRanges)?.entries).toEqual([
      { start: 0n, end: 0xfedf_ffffn },
      { start: 0xfef0_0000n, end: 0x7f_ffff_ffffn },
    ]);
    expect(findCapability(chain, { ...vfioMigration, id: 9 })).toBeUndefined();
  });

  test('ends where it is broken', () => {
    const chain = (next: number, from = 24) => {
      const bytes = new Uint8Array(64);
      bytes.set(vfio_info_cap_header.encode({ id: 7, version: 1, next }), 24);
      return capabilityChain(bytes, from, SIZE).map(({ offset }) => offset);
    };
    expect(chain(0, 0)).toEqual([]);
    expect(chain(24)).toEqual([24]);
    expect(chain(8)).toEqual([24]);
    expect(chain(60)).toEqual([24]);
    expect(chain(0xffff_fff8)).toEqual([24]);
    expect(chain(26)).toEqual([24]);
    expect(chain(56)).toEqual([24, 56]);
  });

  test('has no more entries than bytes', () => {
    const bytes = asMeasured();
    new DataView(bytes.buffer).setUint32(80, 0xffff_ffff, true);
    expect(findCapability(capabilityChain(bytes, 24, SIZE), vfioIovaRanges)?.entries).toHaveLength(26);
  });
});
