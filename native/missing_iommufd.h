// As missing.h, for iommufd, which Linux 6.2 brought and every second release extended: of each struct this header's
// own where it has the newest field, and else ours.
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>

#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif

#include "either.h"

// So that a struct can be asked for which the header lacks.
struct iommu_iova_range;
struct iommu_destroy;
struct iommu_ioas_alloc;
struct iommu_ioas_allow_iovas;
struct iommu_ioas_copy;
struct iommu_ioas_iova_ranges;
struct iommu_ioas_map;
struct iommu_ioas_unmap;
struct iommu_option;
struct iommu_vfio_ioas;
struct iommu_hwpt_alloc;
struct iommu_hw_info;
struct iommu_hwpt_set_dirty_tracking;
struct iommu_hwpt_get_dirty_bitmap;
struct iommu_hwpt_invalidate;
struct iommu_fault_alloc;
struct iommu_ioas_map_file;
struct iommu_viommu_alloc;
struct iommu_vdevice_alloc;
struct iommu_ioas_change_process;
struct iommu_veventq_alloc;
struct iommu_hw_queue_alloc;
struct iommu_ioas_noiommu_get_pa;

namespace gmem {

namespace own {

struct iommu_iova_range {
  __u64 start, last;
};
struct iommu_destroy {
  __u32 size, id;
};
struct iommu_ioas_alloc {
  __u32 size, flags, out_ioas_id;
};
struct iommu_ioas_allow_iovas {
  __u32 size, ioas_id, num_iovas, __reserved;
  __u64 allowed_iovas;
};
struct iommu_ioas_copy {
  __u32 size, flags, dst_ioas_id, src_ioas_id;
  __u64 length, dst_iova, src_iova;
};
struct iommu_ioas_iova_ranges {
  __u32 size, ioas_id, num_iovas, __reserved;
  __u64 allowed_iovas, out_iova_alignment;
};
struct iommu_ioas_map {
  __u32 size, flags, ioas_id, __reserved;
  __u64 user_va, length, iova;
};
struct iommu_ioas_unmap {
  __u32 size, ioas_id;
  __u64 iova, length;
};
struct iommu_option {
  __u32 size, option_id;
  __u16 op, __reserved;
  __u32 object_id;
  __u64 val64;
};
struct iommu_vfio_ioas {
  __u32 size, ioas_id;
  __u16 op, __reserved;
};
struct iommu_hwpt_alloc {
  __u32 size, flags, dev_id, pt_id, out_hwpt_id, __reserved, data_type, data_len;
  __u64 data_uptr;
  __u32 fault_id, __reserved2;
};
struct iommu_hw_info {
  __u32 size, flags, dev_id, data_len;
  __u64 data_uptr;
  __u32 out_data_type;
  __u8 out_max_pasid_log2, __reserved[3];
  __u64 out_capabilities;
};
struct iommu_hwpt_set_dirty_tracking {
  __u32 size, flags, hwpt_id, __reserved;
};
struct iommu_hwpt_get_dirty_bitmap {
  __u32 size, hwpt_id, flags, __reserved;
  __u64 iova, length, page_size, data;
};
struct iommu_hwpt_invalidate {
  __u32 size, hwpt_id;
  __u64 data_uptr;
  __u32 data_type, entry_len, entry_num, __reserved;
};
struct iommu_fault_alloc {
  __u32 size, flags, out_fault_id, out_fault_fd;
};
struct iommu_ioas_map_file {
  __u32 size, flags, ioas_id;
  __s32 fd;
  __u64 start, length, iova;
};
struct iommu_viommu_alloc {
  __u32 size, flags, type, dev_id, hwpt_id, out_viommu_id, data_len, __reserved;
  __u64 data_uptr;
};
struct iommu_vdevice_alloc {
  __u32 size, viommu_id, dev_id, out_vdevice_id;
  __u64 virt_id;
};
struct iommu_ioas_change_process {
  __u32 size, __reserved;
};
struct iommu_veventq_alloc {
  __u32 size, flags, viommu_id, type, veventq_depth, out_veventq_id, out_veventq_fd, __reserved;
};
struct iommu_hw_queue_alloc {
  __u32 size, flags, viommu_id, type, index, out_hw_queue_id;
  __u64 nesting_parent_iova, length;
};
struct iommu_ioas_noiommu_get_pa {
  __u32 size, flags, ioas_id, __reserved;
  __u64 iova, length, out_phys;
};

}  // namespace own

EITHER_OF(iommu_iova_range, last)
EITHER_OF(iommu_destroy, id)
EITHER_OF(iommu_ioas_alloc, out_ioas_id)
EITHER_OF(iommu_ioas_allow_iovas, allowed_iovas)
EITHER_OF(iommu_ioas_copy, src_iova)
EITHER_OF(iommu_ioas_iova_ranges, out_iova_alignment)
EITHER_OF(iommu_ioas_map, iova)
EITHER_OF(iommu_ioas_unmap, length)
EITHER_OF(iommu_option, val64)
EITHER_OF(iommu_vfio_ioas, __reserved)
EITHER_OF(iommu_hwpt_alloc, __reserved2)
EITHER_OF(iommu_hw_info, out_max_pasid_log2)
EITHER_OF(iommu_hwpt_set_dirty_tracking, __reserved)
EITHER_OF(iommu_hwpt_get_dirty_bitmap, data)
EITHER_OF(iommu_hwpt_invalidate, __reserved)
EITHER_OF(iommu_fault_alloc, out_fault_fd)
EITHER_OF(iommu_ioas_map_file, iova)
EITHER_OF(iommu_viommu_alloc, data_uptr)
EITHER_OF(iommu_vdevice_alloc, virt_id)
EITHER_OF(iommu_ioas_change_process, __reserved)
EITHER_OF(iommu_veventq_alloc, __reserved)
EITHER_OF(iommu_hw_queue_alloc, length)
EITHER_OF(iommu_ioas_noiommu_get_pa, out_phys)

#ifndef IOMMU_DESTROY
#define IOMMU_DESTROY _IO(';', 0x80)
#endif
#ifndef IOMMU_IOAS_ALLOC
#define IOMMU_IOAS_ALLOC _IO(';', 0x81)
#endif
#ifndef IOMMU_IOAS_ALLOW_IOVAS
#define IOMMU_IOAS_ALLOW_IOVAS _IO(';', 0x82)
#endif
#ifndef IOMMU_IOAS_COPY
#define IOMMU_IOAS_COPY _IO(';', 0x83)
#endif
#ifndef IOMMU_IOAS_IOVA_RANGES
#define IOMMU_IOAS_IOVA_RANGES _IO(';', 0x84)
#endif
#ifndef IOMMU_IOAS_MAP
#define IOMMU_IOAS_MAP _IO(';', 0x85)
#endif
#ifndef IOMMU_IOAS_UNMAP
#define IOMMU_IOAS_UNMAP _IO(';', 0x86)
#endif
#ifndef IOMMU_OPTION
#define IOMMU_OPTION _IO(';', 0x87)
#endif
#ifndef IOMMU_VFIO_IOAS
#define IOMMU_VFIO_IOAS _IO(';', 0x88)
#endif
#ifndef IOMMU_HWPT_ALLOC
#define IOMMU_HWPT_ALLOC _IO(';', 0x89)
#endif
#ifndef IOMMU_GET_HW_INFO
#define IOMMU_GET_HW_INFO _IO(';', 0x8a)
#endif
#ifndef IOMMU_HWPT_SET_DIRTY_TRACKING
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(';', 0x8b)
#endif
#ifndef IOMMU_HWPT_GET_DIRTY_BITMAP
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(';', 0x8c)
#endif
#ifndef IOMMU_HWPT_INVALIDATE
#define IOMMU_HWPT_INVALIDATE _IO(';', 0x8d)
#endif
#ifndef IOMMU_FAULT_QUEUE_ALLOC
#define IOMMU_FAULT_QUEUE_ALLOC _IO(';', 0x8e)
#endif
#ifndef IOMMU_IOAS_MAP_FILE
#define IOMMU_IOAS_MAP_FILE _IO(';', 0x8f)
#endif
#ifndef IOMMU_VIOMMU_ALLOC
#define IOMMU_VIOMMU_ALLOC _IO(';', 0x90)
#endif
#ifndef IOMMU_VDEVICE_ALLOC
#define IOMMU_VDEVICE_ALLOC _IO(';', 0x91)
#endif
#ifndef IOMMU_IOAS_CHANGE_PROCESS
#define IOMMU_IOAS_CHANGE_PROCESS _IO(';', 0x92)
#endif
#ifndef IOMMU_VEVENTQ_ALLOC
#define IOMMU_VEVENTQ_ALLOC _IO(';', 0x93)
#endif
#ifndef IOMMU_HW_QUEUE_ALLOC
#define IOMMU_HW_QUEUE_ALLOC _IO(';', 0x94)
#endif
#ifndef IOMMU_IOAS_NOIOMMU_GET_PA
#define IOMMU_IOAS_NOIOMMU_GET_PA _IO(';', 0x95)
#endif

}  // namespace gmem
