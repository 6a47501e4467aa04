// As missing.h, for VFIO.
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include "either.h"

// Named here so that they can be asked for where the header lacks them.
struct vfio_device_bind_iommufd;
struct vfio_device_attach_iommufd_pt;
struct vfio_device_detach_iommufd_pt;
struct vfio_device_feature_bus_master;
struct vfio_device_feature_dma_buf;
struct vfio_region_dma_range;

namespace gmem {

namespace own {

// Linux 6.6 gave the padding a name, and with it a place.
struct vfio_device_info {
  __u32 argsz, flags, num_regions, num_irqs, cap_offset, pad;
};
// Linux 6.6; the token came later.
struct vfio_device_bind_iommufd {
  __u32 argsz, flags;
  __s32 iommufd;
  __u32 out_devid;
  __u64 token_uuid_ptr;
};
// Linux 6.6; the PASIDs came later.
struct vfio_device_attach_iommufd_pt {
  __u32 argsz, flags, pt_id, pasid;
};
struct vfio_device_detach_iommufd_pt {
  __u32 argsz, flags, pasid;
};
// Linux 6.5.
struct vfio_device_feature_bus_master {
  __u32 op;
};
// Linux 6.19.
struct vfio_region_dma_range {
  __u64 offset, length;
};
struct vfio_device_feature_dma_buf {
  __u32 region_index, open_flags, flags, nr_ranges;
};

}  // namespace own

EITHER_OF(vfio_device_info, pad)
EITHER_OF(vfio_device_bind_iommufd, token_uuid_ptr)
EITHER_OF(vfio_device_attach_iommufd_pt, pasid)
EITHER_OF(vfio_device_detach_iommufd_pt, pasid)
EITHER_OF(vfio_device_feature_bus_master, op)
EITHER_OF(vfio_device_feature_dma_buf, nr_ranges)
EITHER_OF(vfio_region_dma_range, length)

#ifndef VFIO_DEVICE_BIND_IOMMUFD
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif

// What the header says in words only: a pointer to an fd, and a device's name.
struct vfio_group_set_container {
  __s32 fd;
};
struct vfio_group_get_device_fd {
  char name[256];
};

}  // namespace gmem
