/**
 * VFIO's containers and groups, and the type1 IOMMU of a container. An iommufd answers the container's ioctls as well,
 * with differences. Source: include/uapi/linux/vfio.h of Linux 7.3.4.
 */

import { io, iop } from './ioctl.ts';
import { IOMMUFD_TYPE } from './iommufd.ts';
import { pointer } from './pointer.ts';
import { argsized } from './sized.ts';
import { i32, struct, text, u32, u64 } from './struct.ts';

/** The same as iommufd's: the two share their numbers out between them. */
export const VFIO_TYPE = IOMMUFD_TYPE;
export const VFIO_BASE = 100;

/** Containers, and iommufds in their place. */
const CONTAINER = ['vfio-container', 'iommufd'] as const;

export const VFIO_API_VERSION = 0;
export const VFIO_GET_API_VERSION = io(CONTAINER, VFIO_TYPE, VFIO_BASE, { returns: 'number' });
/** The argument is one of VFIO_*_IOMMU and VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR. */
export const VFIO_CHECK_EXTENSION = io(CONTAINER, VFIO_TYPE, VFIO_BASE + 1, { returns: 'number' });
/** The argument is a VFIO_*_IOMMU. Needs a group in the container. */
export const VFIO_SET_IOMMU = io(CONTAINER, VFIO_TYPE, VFIO_BASE + 2);

export const VFIO_TYPE1_IOMMU = 1;
export const VFIO_SPAPR_TCE_IOMMU = 2;
export const VFIO_TYPE1v2_IOMMU = 3;
export const VFIO_DMA_CC_IOMMU = 4;
export const VFIO_NOIOMMU_IOMMU = 8;
export const VFIO_UNMAP_ALL = 9;
export const VFIO_UPDATE_VADDR = 10;

export const VFIO_GROUP_FLAGS_VIABLE = 1 << 0;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 1 << 1;

export const VFIO_GROUP_GET_STATUS = iop(
  'vfio-group',
  VFIO_TYPE,
  VFIO_BASE + 3,
  argsized('vfio_group_status', { flags: u32 }),
);
/** The fd of a container, or of an iommufd. */
export const VFIO_GROUP_SET_CONTAINER = iop(
  'vfio-group',
  VFIO_TYPE,
  VFIO_BASE + 4,
  struct('vfio_group_set_container', { fd: i32 }),
);
export const VFIO_GROUP_UNSET_CONTAINER = io('vfio-group', VFIO_TYPE, VFIO_BASE + 5);
/** The device's name: a PCI address, or what its driver calls it. */
export const VFIO_GROUP_GET_DEVICE_FD = iop(
  'vfio-group',
  VFIO_TYPE,
  VFIO_BASE + 6,
  struct('vfio_group_get_device_fd', { name: text(256) }),
  { returns: 'fd' },
);

export const VFIO_IOMMU_INFO_PGSIZES = 1 << 0;
export const VFIO_IOMMU_INFO_CAPS = 1 << 1;

/** Capabilities follow where `argsz` has room for them; see `vfio-capabilities.ts`. */
export const VFIO_IOMMU_GET_INFO = iop(
  CONTAINER,
  VFIO_TYPE,
  VFIO_BASE + 12,
  argsized(
    'vfio_iommu_type1_info',
    { flags: u32, iova_pgsizes: u64, cap_offset: u32, pad: u32 },
    { upTo: 'iova_pgsizes' },
  ),
);

export const VFIO_DMA_MAP_FLAG_READ = 1 << 0;
export const VFIO_DMA_MAP_FLAG_WRITE = 1 << 1;
export const VFIO_DMA_MAP_FLAG_VADDR = 1 << 2;

export const VFIO_IOMMU_MAP_DMA = iop(
  CONTAINER,
  VFIO_TYPE,
  VFIO_BASE + 13,
  argsized('vfio_iommu_type1_dma_map', { flags: u32, vaddr: u64, iova: u64, size: u64 }),
);

export const VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1 << 0;
export const VFIO_DMA_UNMAP_FLAG_ALL = 1 << 1;
export const VFIO_DMA_UNMAP_FLAG_VADDR = 1 << 2;

const bitmapData = pointer(({ size }: { size: bigint }) => Number(size));

/** Follows a struct that asks for dirty pages; `size` is that of `data`. */
export const vfio_bitmap = struct('vfio_bitmap', { pgsize: u64, size: u64, data: bitmapData });

/** `size` comes back as the number of bytes that were mapped. */
export const VFIO_IOMMU_UNMAP_DMA = iop(
  CONTAINER,
  VFIO_TYPE,
  VFIO_BASE + 14,
  argsized('vfio_iommu_type1_dma_unmap', { flags: u32, iova: u64, size: u64 }),
);

/** For SPAPR; ENOTTY on type1. */
export const VFIO_IOMMU_ENABLE = io(CONTAINER, VFIO_TYPE, VFIO_BASE + 15);
export const VFIO_IOMMU_DISABLE = io(CONTAINER, VFIO_TYPE, VFIO_BASE + 16);

export const VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1 << 0;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 1 << 1;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 1 << 2;

export const VFIO_IOMMU_DIRTY_PAGES = iop(
  CONTAINER,
  VFIO_TYPE,
  VFIO_BASE + 17,
  argsized('vfio_iommu_type1_dirty_bitmap', { flags: u32 }),
);

/** The two that a bitmap can follow, with it: VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, ..._DIRTY_PAGES_FLAG_GET_BITMAP. */
export const vfioWithBitmap = {
  UNMAP_DMA: iop(
    CONTAINER,
    VFIO_TYPE,
    VFIO_BASE + 14,
    argsized('vfio_iommu_type1_dma_unmap', { flags: u32, iova: u64, size: u64, bitmap: vfio_bitmap }),
  ),
  DIRTY_PAGES: iop(
    CONTAINER,
    VFIO_TYPE,
    VFIO_BASE + 17,
    argsized('vfio_iommu_type1_dirty_bitmap', {
      flags: u32,
      get: struct('vfio_iommu_type1_dirty_bitmap_get', { iova: u64, size: u64, bitmap: vfio_bitmap }),
    }),
  ),
} as const;
