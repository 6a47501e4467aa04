/**
 * /dev/iommu: address spaces (IOAS), page tables (HWPT) and what hangs on them. Ids are per open file and start at 1.
 * Source: include/uapi/linux/iommufd.h of Linux 7.3.4. VFIO's container ioctls are answered by this file too; `vfio.ts`.
 */

import { type IoctlNotes, iop } from './ioctl.ts';
import { pointer } from './pointer.ts';
import { type SizedStruct, sized } from './sized.ts';
import { array, type Fields, i32, struct, u8, u16, u32, u64 } from './struct.ts';

export const IOMMUFD_TYPE = 0x3b;

const iommufd = <F extends Fields>(nr: number, arg: SizedStruct<F>, notes?: IoctlNotes) =>
  iop('iommufd', IOMMUFD_TYPE, nr, arg, notes);

/** EBUSY for what is in use, also after up to a minute's wait for it; ENOENT for an id that is not there. */
export const IOMMU_DESTROY = iommufd(0x80, sized('iommu_destroy', { id: u32 }), { since: '6.2' });

export const IOMMU_IOAS_ALLOC = iommufd(0x81, sized('iommu_ioas_alloc', { flags: u32, out_ioas_id: u32 }), {
  since: '6.2',
});

/** Both ends belong to the range. */
export const iommu_iova_range = struct('iommu_iova_range', { start: u64, last: u64 });

const ranges = pointer(({ num_iovas }: { num_iovas: number }) => num_iovas * iommu_iova_range.size);

/** Restricts where the kernel may choose an IOVA; maps at a fixed one are not restricted. */
export const IOMMU_IOAS_ALLOW_IOVAS = iommufd(
  0x82,
  sized('iommu_ioas_allow_iovas', { ioas_id: u32, num_iovas: u32, __reserved: u32, allowed_iovas: ranges }),
  { since: '6.2' },
);

export const IOMMU_IOAS_COPY = iommufd(
  0x83,
  sized('iommu_ioas_copy', {
    flags: u32,
    dst_ioas_id: u32,
    src_ioas_id: u32,
    length: u64,
    dst_iova: u64,
    src_iova: u64,
  }),
  { since: '6.2' },
);

/** EMSGSIZE when there are more ranges than room for them; `num_iovas` and the alignment are written all the same. */
export const IOMMU_IOAS_IOVA_RANGES = iommufd(
  0x84,
  sized('iommu_ioas_iova_ranges', {
    ioas_id: u32,
    num_iovas: u32,
    __reserved: u32,
    allowed_iovas: ranges,
    out_iova_alignment: u64,
  }),
  { since: '6.2' },
);

/** Flags of MAP, MAP_FILE and COPY. */
export const IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0;
export const IOMMU_IOAS_MAP_WRITEABLE = 1 << 1;
export const IOMMU_IOAS_MAP_READABLE = 1 << 2;

export const IOMMU_IOAS_MAP = iommufd(
  0x85,
  sized('iommu_ioas_map', { flags: u32, ioas_id: u32, __reserved: u32, user_va: u64, length: u64, iova: u64 }),
  { since: '6.2' },
);

/** Iova 0 and a length of U64_MAX unmap everything. `length` comes back as the number of bytes that were mapped. */
export const IOMMU_IOAS_UNMAP = iommufd(0x86, sized('iommu_ioas_unmap', { ioas_id: u32, iova: u64, length: u64 }), {
  since: '6.2',
});

export const IOMMU_OPTION_RLIMIT_MODE = 0;
export const IOMMU_OPTION_HUGE_PAGES = 1;
export const IOMMU_OPTION_OP_SET = 0;
export const IOMMU_OPTION_OP_GET = 1;

export const IOMMU_OPTION = iommufd(
  0x87,
  sized('iommu_option', { option_id: u32, op: u16, __reserved: u16, object_id: u32, val64: u64 }),
  { since: '6.2' },
);

export const IOMMU_VFIO_IOAS_GET = 0;
export const IOMMU_VFIO_IOAS_SET = 1;
export const IOMMU_VFIO_IOAS_CLEAR = 2;

/** The IOAS that VFIO's container ioctls on this file work on. */
export const IOMMU_VFIO_IOAS = iommufd(0x88, sized('iommu_vfio_ioas', { ioas_id: u32, op: u16, __reserved: u16 }), {
  since: '6.2',
});

export const IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0;
export const IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1;
export const IOMMU_HWPT_FAULT_ID_VALID = 1 << 2;
export const IOMMU_HWPT_ALLOC_PASID = 1 << 3;

export const IOMMU_HWPT_DATA_NONE = 0;

const data = pointer(({ data_len }: { data_len: number }) => data_len);

export const IOMMU_HWPT_ALLOC = iommufd(
  0x89,
  sized(
    'iommu_hwpt_alloc',
    {
      flags: u32,
      dev_id: u32,
      /** An IOAS, or a parent HWPT. EINVAL, not ENOENT, when there is none of this id. */
      pt_id: u32,
      out_hwpt_id: u32,
      __reserved: u32,
      data_type: u32,
      data_len: u32,
      data_uptr: data,
      fault_id: u32,
      __reserved2: u32,
    },
    { upTo: '__reserved' },
  ),
  { since: '6.6' },
);

export const IOMMU_HW_INFO_TYPE_NONE = 0;
export const IOMMU_HW_INFO_TYPE_INTEL_VTD = 1;
export const IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2;
export const IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3;
export const IOMMU_HW_INFO_TYPE_AMD = 4;

export const IOMMU_HW_CAP_DIRTY_TRACKING = 1n << 0n;
export const IOMMU_HW_CAP_PCI_PASID_EXEC = 1n << 1n;
export const IOMMU_HW_CAP_PCI_PASID_PRIV = 1n << 2n;
export const IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1n << 3n;

export const IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0;

export const IOMMU_GET_HW_INFO = iommufd(
  0x8a,
  sized(
    'iommu_hw_info',
    {
      flags: u32,
      dev_id: u32,
      /** In: room; out: what the kernel has, which may be more. */
      data_len: u32,
      data_uptr: data,
      /** In with IOMMU_HW_INFO_FLAG_INPUT_TYPE, else ignored; the kernel's union names it `in_data_type` too. */
      out_data_type: u32,
      out_max_pasid_log2: u8,
      __reserved: array(u8, 3),
      out_capabilities: u64,
    },
    { upTo: '__reserved' },
  ),
  { since: '6.6' },
);

export const IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1;

export const IOMMU_HWPT_SET_DIRTY_TRACKING = iommufd(
  0x8b,
  sized('iommu_hwpt_set_dirty_tracking', { flags: u32, hwpt_id: u32, __reserved: u32 }),
  { since: '6.7' },
);

export const IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1;

/** A bitmap has one bit a page and is read and written in u64s. */
export const bitmapBytes = (bits: bigint): number => Number((bits + 63n) / 64n) * 8;

export const IOMMU_HWPT_GET_DIRTY_BITMAP = iommufd(
  0x8c,
  sized('iommu_hwpt_get_dirty_bitmap', {
    // In the other order than in its neighbours.
    hwpt_id: u32,
    flags: u32,
    __reserved: u32,
    iova: u64,
    length: u64,
    page_size: u64,
    // Of a page size that is no power of two the kernel takes the lowest bit.
    data: pointer(({ length, page_size }: { length: bigint; page_size: bigint }) => {
      const bit = page_size & -page_size;
      return bit === 0n ? 0 : bitmapBytes((length + bit - 1n) / bit);
    }),
  }),
  { since: '6.7' },
);

/** `entry_num` comes back as the number that were handled, in failure too. */
export const IOMMU_HWPT_INVALIDATE = iommufd(
  0x8d,
  sized('iommu_hwpt_invalidate', {
    hwpt_id: u32,
    data_uptr: pointer(({ entry_len, entry_num }: { entry_len: number; entry_num: number }) => entry_len * entry_num),
    data_type: u32,
    entry_len: u32,
    entry_num: u32,
    __reserved: u32,
  }),
  { since: '6.8' },
);

export const IOMMU_FAULT_QUEUE_ALLOC = iommufd(
  0x8e,
  sized('iommu_fault_alloc', { flags: u32, out_fault_id: u32, out_fault_fd: u32 }),
  { since: '6.11', newFd: 'out_fault_fd' },
);

export const IOMMU_IOAS_MAP_FILE = iommufd(
  0x8f,
  sized('iommu_ioas_map_file', { flags: u32, ioas_id: u32, fd: i32, start: u64, length: u64, iova: u64 }),
  { since: '6.13' },
);

export const IOMMU_VIOMMU_ALLOC = iommufd(
  0x90,
  sized(
    'iommu_viommu_alloc',
    {
      flags: u32,
      type: u32,
      dev_id: u32,
      hwpt_id: u32,
      out_viommu_id: u32,
      data_len: u32,
      __reserved: u32,
      data_uptr: data,
    },
    { upTo: 'out_viommu_id' },
  ),
  { since: '6.13' },
);

export const IOMMU_VDEVICE_ALLOC = iommufd(
  0x91,
  sized('iommu_vdevice_alloc', { viommu_id: u32, dev_id: u32, out_vdevice_id: u32, virt_id: u64 }),
  { since: '6.13' },
);

export const IOMMU_IOAS_CHANGE_PROCESS = iommufd(0x92, sized('iommu_ioas_change_process', { __reserved: u32 }), {
  since: '6.14',
});

export const IOMMU_VEVENTQ_ALLOC = iommufd(
  0x93,
  sized(
    'iommu_veventq_alloc',
    {
      flags: u32,
      viommu_id: u32,
      type: u32,
      veventq_depth: u32,
      out_veventq_id: u32,
      out_veventq_fd: u32,
      __reserved: u32,
    },
    { upTo: 'out_veventq_fd' },
  ),
  { since: '6.15', newFd: 'out_veventq_fd' },
);

export const IOMMU_HW_QUEUE_ALLOC = iommufd(
  0x94,
  sized('iommu_hw_queue_alloc', {
    flags: u32,
    viommu_id: u32,
    type: u32,
    index: u32,
    out_hw_queue_id: u32,
    nesting_parent_iova: u64,
    length: u64,
  }),
  { since: '6.17' },
);

/** Where a page of an IOAS of noiommu devices is in physical memory; all series for TSM use this number differently. */
export const IOMMU_IOAS_NOIOMMU_GET_PA = iommufd(
  0x95,
  sized('iommu_ioas_noiommu_get_pa', {
    flags: u32,
    ioas_id: u32,
    __reserved: u32,
    iova: u64,
    length: u64,
    out_phys: u64,
  }),
  { since: '7.3' },
);
