/**
 * IOMMU_TEST_CMD (CONFIG_IOMMUFD_TEST): mock domains, mock devices and accesses, with which iommufd is tested without
 * hardware. It is one request with a union; `iommuTest` declares each of its operations as an ioctl of its own.
 * Source: drivers/iommu/iommufd/iommufd_test.h of Linux 7.3.4, which no header package has.
 */

import { type IoctlNotes, iop } from './ioctl.ts';
import { bitmapBytes, IOMMUFD_TYPE } from './iommufd.ts';
import { pointer } from './pointer.ts';
import { type SizedStruct, sized } from './sized.ts';
import { array, type Fields, i32, type Struct, struct, u32, u64 } from './struct.ts';

const TEST_CMD = 0xa0;
const UNION_WORDS = 6;

const testCommand = <F extends Fields>(arg: SizedStruct<F>, notes?: IoctlNotes) =>
  iop('iommufd', IOMMUFD_TYPE, TEST_CMD, arg, notes);

/** Any operation: what the union holds is for `op` to say. */
export const IOMMU_TEST_CMD = testCommand(
  sized(
    'iommu_test_cmd',
    { op: u32, id: u32, __reserved: u32, __union: array(u64, UNION_WORDS), last: u32 },
    { upTo: 'last' },
  ),
);

/** One operation: `op` is filled in, and the union is the one member that belongs to it, under the kernel's name. */
function operation<const Arm extends string, const F extends Fields>(
  op: number,
  arm: Arm,
  members: F,
  notes?: IoctlNotes,
) {
  const member = struct(`iommu_test_cmd.${arm}`, members);
  const rest = array(u64, UNION_WORDS - Math.ceil(member.size / u64.size));
  const head = { op: u32, id: u32, __reserved: u32 };
  const own = { [arm]: member } as { readonly [K in Arm]: Struct<F> };
  const whole = sized(
    'iommu_test_cmd',
    { ...head, ...own, __rest: rest, last: u32 },
    { upTo: 'last', fill: { op } as never },
  );
  return { ...testCommand(whole, notes), op, arm: member };
}

const address = pointer(({ length }: { length: bigint }) => Number(length));

/** The operations, by the kernel's names (IOMMU_TEST_OP_*). `id` is an IOAS's, a HWPT's, a mock device's or an access's. */
export const iommuTest = {
  ADD_RESERVED: operation(1, 'add_reserved', { start: u64, length: u64 }),
  MOCK_DOMAIN: operation(2, 'mock_domain', { out_stdev_id: u32, out_hwpt_id: u32, out_idev_id: u32 }),
  MD_CHECK_MAP: operation(3, 'check_map', { iova: u64, length: u64, uptr: address }),
  MD_CHECK_REFS: operation(4, 'check_refs', { length: u64, uptr: address, refs: u32 }),
  CREATE_ACCESS: operation(
    5,
    'create_access',
    { out_access_fd: u32, flags: u32 },
    { newFd: 'create_access.out_access_fd' },
  ),
  DESTROY_ACCESS_PAGES: operation(6, 'destroy_access_pages', { access_pages_id: u32 }),
  ACCESS_PAGES: operation(7, 'access_pages', {
    flags: u32,
    out_access_pages_id: u32,
    iova: u64,
    length: u64,
    uptr: address,
  }),
  ACCESS_RW: operation(8, 'access_rw', { iova: u64, length: u64, uptr: address, flags: u32 }),
  SET_TEMP_MEMORY_LIMIT: operation(9, 'memory_limit', { limit: u32 }),
  MOCK_DOMAIN_REPLACE: operation(10, 'mock_domain_replace', { pt_id: u32 }),
  ACCESS_REPLACE_IOAS: operation(11, 'access_replace_ioas', { ioas_id: u32 }),
  MOCK_DOMAIN_FLAGS: operation(12, 'mock_domain_flags', {
    out_stdev_id: u32,
    out_hwpt_id: u32,
    out_idev_id: u32,
    dev_flags: u32,
  }),
  DIRTY: operation(13, 'dirty', {
    flags: u32,
    iova: u64,
    length: u64,
    page_size: u64,
    uptr: pointer(({ length, page_size }: { length: bigint; page_size: bigint }) =>
      page_size === 0n ? 0 : bitmapBytes((length + page_size - 1n) / page_size),
    ),
    out_nr_dirty: u64,
  }),
  MD_CHECK_IOTLB: operation(14, 'check_iotlb', { id: u32, iotlb: u32 }),
  TRIGGER_IOPF: operation(15, 'trigger_iopf', { dev_id: u32, pasid: u32, grpid: u32, perm: u32, addr: u64 }),
  DEV_CHECK_CACHE: operation(16, 'check_dev_cache', { id: u32, cache: u32 }),
  TRIGGER_VEVENT: operation(17, 'trigger_vevent', { dev_id: u32 }),
  PASID_ATTACH: operation(18, 'pasid_attach', { pasid: u32, pt_id: u32 }),
  PASID_REPLACE: operation(19, 'pasid_replace', { pasid: u32, pt_id: u32 }),
  PASID_DETACH: operation(20, 'pasid_detach', { pasid: u32 }),
  PASID_CHECK_HWPT: operation(21, 'pasid_check', { pasid: u32, hwpt_id: u32 }),
  /** Linux 7.3 makes the dma-buf's fd and answers 0: it is the lowest number that was free before. */
  DMABUF_GET: operation(22, 'dmabuf_get', { length: u32, open_flags: u32 }),
  DMABUF_REVOKE: operation(23, 'dmabuf_revoke', { dmabuf_fd: i32, revoked: u32 }),
} as const;

/** What a mock domain maps, in units of MOCK_PAGE_SIZE: half a CPU's page, so that nobody mistakes one for the other. */
export const MOCK_APERTURE_START = 1n << 24n;
export const MOCK_APERTURE_LAST = (1n << 31n) - 1n;
export const MOCK_PAGE_SIZE = 2048;
export const MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE;

export const MOCK_FLAGS_ACCESS_WRITE = 1 << 0;
export const MOCK_FLAGS_ACCESS_SYZ = 1 << 16;
export const MOCK_ACCESS_RW_WRITE = 1 << 0;
export const MOCK_ACCESS_RW_SLOW_PATH = 1 << 2;
export const MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0;
export const MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0;
export const MOCK_FLAGS_DEVICE_PASID = 1 << 2;
export const MOCK_PASID_WIDTH = 20;

export const IOMMU_HW_INFO_TYPE_SELFTEST = 0xfeed_beef;
export const IOMMU_HW_INFO_SELFTEST_REGVAL = 0xdead_beef;
/** What IOMMU_GET_HW_INFO answers for a mock device. */
export const iommu_test_hw_info = struct('iommu_test_hw_info', { flags: u32, test_reg: u32 });

export const IOMMU_HWPT_DATA_SELFTEST = 0xdead;
export const IOMMU_TEST_IOTLB_DEFAULT = 0x0bad_beef;
export const IOMMU_TEST_DEV_CACHE_DEFAULT = 0x00ba_ddad;
/** The data of IOMMU_HWPT_ALLOC for a mock device's nested page table. */
export const iommu_hwpt_selftest = struct('iommu_hwpt_selftest', { iotlb: u32, pagetable_type: u32 });
export const IOMMU_VIOMMU_TYPE_SELFTEST = 0xdead_beef;
