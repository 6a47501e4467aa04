/**
 * A VFIO device's file, which a group hands out or which is opened as /dev/vfio/devices/vfioN (a cdev; then it answers
 * nothing before BIND). Its numbers above 0x3b6f are the container's as well. Source: include/uapi/linux/vfio.h of
 * Linux 7.3.4.
 */

import { type IoctlNotes, io, iop } from './ioctl.ts';
import { pointer } from './pointer.ts';
import { argsized, type SizedStruct } from './sized.ts';
import { type Fields, i32, struct, u8, u16, u32, u64 } from './struct.ts';
import { VFIO_BASE, VFIO_TYPE } from './vfio.ts';

const device = <F extends Fields>(nr: number, arg: SizedStruct<F>, notes?: IoctlNotes) =>
  iop('vfio-device', VFIO_TYPE, VFIO_BASE + nr, arg, notes);

export const VFIO_DEVICE_FLAGS_RESET = 1 << 0;
export const VFIO_DEVICE_FLAGS_PCI = 1 << 1;
export const VFIO_DEVICE_FLAGS_CAPS = 1 << 7;

/** `pad` came with Linux 6.6; before, the struct was 20 bytes. */
export const VFIO_DEVICE_GET_INFO = device(
  7,
  argsized(
    'vfio_device_info',
    { flags: u32, num_regions: u32, num_irqs: u32, cap_offset: u32, pad: u32 },
    { upTo: 'num_irqs' },
  ),
);

export const VFIO_REGION_INFO_FLAG_READ = 1 << 0;
export const VFIO_REGION_INFO_FLAG_WRITE = 1 << 1;
export const VFIO_REGION_INFO_FLAG_MMAP = 1 << 2;
export const VFIO_REGION_INFO_FLAG_CAPS = 1 << 3;

/** `index` in, the rest out. `offset` is where the region lies in the device's file. */
export const VFIO_DEVICE_GET_REGION_INFO = device(
  8,
  argsized('vfio_region_info', { flags: u32, index: u32, cap_offset: u32, size: u64, offset: u64 }),
);

/** The regions of a PCI device. */
export const VFIO_PCI_BAR0_REGION_INDEX = 0;
export const VFIO_PCI_BAR5_REGION_INDEX = 5;
export const VFIO_PCI_ROM_REGION_INDEX = 6;
export const VFIO_PCI_CONFIG_REGION_INDEX = 7;
export const VFIO_PCI_VGA_REGION_INDEX = 8;

export const VFIO_IRQ_INFO_EVENTFD = 1 << 0;
export const VFIO_IRQ_INFO_MASKABLE = 1 << 1;
export const VFIO_IRQ_INFO_AUTOMASKED = 1 << 2;
export const VFIO_IRQ_INFO_NORESIZE = 1 << 3;

export const VFIO_DEVICE_GET_IRQ_INFO = device(9, argsized('vfio_irq_info', { flags: u32, index: u32, count: u32 }));

/** The interrupts of a PCI device. */
export const VFIO_PCI_INTX_IRQ_INDEX = 0;
export const VFIO_PCI_MSI_IRQ_INDEX = 1;
export const VFIO_PCI_MSIX_IRQ_INDEX = 2;
export const VFIO_PCI_ERR_IRQ_INDEX = 3;
export const VFIO_PCI_REQ_IRQ_INDEX = 4;

export const VFIO_IRQ_SET_DATA_NONE = 1 << 0;
export const VFIO_IRQ_SET_DATA_BOOL = 1 << 1;
export const VFIO_IRQ_SET_DATA_EVENTFD = 1 << 2;
export const VFIO_IRQ_SET_ACTION_MASK = 1 << 3;
export const VFIO_IRQ_SET_ACTION_UNMASK = 1 << 4;
export const VFIO_IRQ_SET_ACTION_TRIGGER = 1 << 5;

/** Followed by `count` u8 (BOOL) or s32 (EVENTFD). */
export const VFIO_DEVICE_SET_IRQS = device(
  10,
  argsized('vfio_irq_set', { flags: u32, index: u32, start: u32, count: u32 }),
);

export const VFIO_DEVICE_RESET = io('vfio-device', VFIO_TYPE, VFIO_BASE + 11);

/** Followed by `count` entries of vfio_pci_dependent_device; ENOSPC where `argsz` has no room for them. */
export const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = device(
  12,
  argsized('vfio_pci_hot_reset_info', { flags: u32, count: u32 }),
);
/** `id` is the group's, or with VFIO_PCI_HOT_RESET_FLAG_DEV_ID the device's in the iommufd. */
export const vfio_pci_dependent_device = struct('vfio_pci_dependent_device', {
  group_id: u32,
  segment: u16,
  bus: u8,
  devfn: u8,
});
export const VFIO_PCI_HOT_RESET_FLAG_DEV_ID = 1 << 0;
export const VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED = 1 << 1;

/** Followed by `count` s32: the fds of the groups, or none for a device that is bound to an iommufd. */
export const VFIO_DEVICE_PCI_HOT_RESET = device(13, argsized('vfio_pci_hot_reset', { flags: u32, count: u32 }));

export const VFIO_DEVICE_IOEVENTFD_8 = 1 << 0;
export const VFIO_DEVICE_IOEVENTFD_16 = 1 << 1;
export const VFIO_DEVICE_IOEVENTFD_32 = 1 << 2;
export const VFIO_DEVICE_IOEVENTFD_64 = 1 << 3;

export const VFIO_DEVICE_IOEVENTFD = device(
  16,
  argsized('vfio_device_ioeventfd', { flags: u32, offset: u64, data: u64, fd: i32, reserved: u32 }, { upTo: 'fd' }),
);

/** The low 16 bits of `flags` are the feature's number. */
export const VFIO_DEVICE_FEATURE_MASK = 0xffff;
export const VFIO_DEVICE_FEATURE_GET = 1 << 16;
export const VFIO_DEVICE_FEATURE_SET = 1 << 17;
export const VFIO_DEVICE_FEATURE_PROBE = 1 << 18;

/** Followed by the feature's own struct. */
export const VFIO_DEVICE_FEATURE = device(17, argsized('vfio_device_feature', { flags: u32 }), { returns: 'number' });

export const vfioFeatures = {
  PCI_VF_TOKEN: 0,
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  LOW_POWER_ENTRY: 3,
  LOW_POWER_ENTRY_WITH_WAKEUP: 4,
  LOW_POWER_EXIT: 5,
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7,
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
  BUS_MASTER: 10,
  DMA_BUF: 11,
  MIG_PRECOPY_INFOv2: 12,
  ZPCI_ERROR: 13,
} as const;

export type VfioFeature = keyof typeof vfioFeatures;

export const vfio_device_feature_bus_master = struct('vfio_device_feature_bus_master', { op: u32 });
/** Followed by `nr_ranges` of vfio_region_dma_range. The ioctl answers the dma-buf's fd. */
export const vfio_device_feature_dma_buf = struct('vfio_device_feature_dma_buf', {
  region_index: u32,
  open_flags: u32,
  flags: u32,
  nr_ranges: u32,
});
export const vfio_region_dma_range = struct('vfio_region_dma_range', { offset: u64, length: u64 });

export const VFIO_DEVICE_BIND_FLAG_TOKEN = 1 << 0;

/** A cdev's first request. */
export const VFIO_DEVICE_BIND_IOMMUFD = device(
  18,
  argsized(
    'vfio_device_bind_iommufd',
    { flags: u32, iommufd: i32, out_devid: u32, token_uuid_ptr: pointer(16) },
    { upTo: 'out_devid' },
  ),
  { since: '6.6' },
);

export const VFIO_DEVICE_ATTACH_PASID = 1 << 0;

/** `pt_id` is an IOAS or a HWPT, and comes back as the HWPT. Attached already, it is replaced in one step. */
export const VFIO_DEVICE_ATTACH_IOMMUFD_PT = device(
  19,
  argsized('vfio_device_attach_iommufd_pt', { flags: u32, pt_id: u32, pasid: u32 }, { upTo: 'pt_id' }),
  { since: '6.6' },
);

export const VFIO_DEVICE_DETACH_PASID = 1 << 0;

/** 0 also where nothing is attached. */
export const VFIO_DEVICE_DETACH_IOMMUFD_PT = device(
  20,
  argsized('vfio_device_detach_iommufd_pt', { flags: u32, pasid: u32 }, { upTo: 'flags' }),
  { since: '6.6' },
);
