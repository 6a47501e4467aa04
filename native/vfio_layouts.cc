#include "vfio_layouts.h"

#include <linux/kvm.h>

#include "missing_vfio.h"

namespace gmem {

std::vector<Layout> VfioStructs() {
  return {
      STRUCT(vfio_group_status, 8, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4)),
      STRUCT(vfio_group_set_container, 4, false, FIELD(fd, 0, 4)),
      STRUCT(vfio_group_get_device_fd, 256, false, FIELD(name, 0, 256)),
      EITHER(vfio_device_info, 24, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(num_regions, 8, 4),
             FIELD(num_irqs, 12, 4), FIELD(cap_offset, 16, 4)),
      STRUCT(vfio_region_info, 32, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(index, 8, 4),
             FIELD(cap_offset, 12, 4), FIELD(size, 16, 8), FIELD(offset, 24, 8)),
      STRUCT(vfio_irq_info, 16, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(index, 8, 4),
             FIELD(count, 12, 4)),
      STRUCT(vfio_irq_set, 20, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(index, 8, 4),
             FIELD(start, 12, 4), FIELD(count, 16, 4)),
      STRUCT(vfio_iommu_type1_info, 24, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(iova_pgsizes, 8, 8),
             FIELD(cap_offset, 16, 4)),
      STRUCT(vfio_pci_hot_reset_info, 12, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(count, 8, 4)),
      STRUCT(vfio_iommu_type1_dma_map, 32, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(vaddr, 8, 8),
             FIELD(iova, 16, 8), FIELD(size, 24, 8)),
      STRUCT(vfio_pci_hot_reset, 12, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(count, 8, 4)),
      STRUCT(vfio_iommu_type1_dma_unmap, 24, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(iova, 8, 8),
             FIELD(size, 16, 8)),
      STRUCT(vfio_device_ioeventfd, 32, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(offset, 8, 8),
             FIELD(data, 16, 8), FIELD(fd, 24, 4)),
      STRUCT(vfio_iommu_type1_dirty_bitmap, 8, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4)),
      STRUCT(vfio_device_feature, 8, kHeader, FIELD(argsz, 0, 4), FIELD(flags, 4, 4)),
      EITHER(vfio_device_bind_iommufd, 24, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(iommufd, 8, 4),
             FIELD(out_devid, 12, 4), FIELD(token_uuid_ptr, 16, 8)),
      EITHER(vfio_device_attach_iommufd_pt, 16, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(pt_id, 8, 4),
             FIELD(pasid, 12, 4)),
      EITHER(vfio_device_detach_iommufd_pt, 12, FIELD(argsz, 0, 4), FIELD(flags, 4, 4), FIELD(pasid, 8, 4)),
      STRUCT(vfio_info_cap_header, 8, kHeader, FIELD(id, 0, 2), FIELD(version, 2, 2), FIELD(next, 4, 4)),
      STRUCT(vfio_iova_range, 16, kHeader, FIELD(start, 0, 8), FIELD(end, 8, 8)),
      STRUCT(vfio_iommu_type1_info_cap_iova_range, 16, kHeader, FIELD(header, 0, 8), FIELD(nr_iovas, 8, 4)),
      STRUCT(vfio_iommu_type1_info_cap_migration, 32, kHeader, FIELD(header, 0, 8), FIELD(flags, 8, 4),
             FIELD(pgsize_bitmap, 16, 8), FIELD(max_dirty_bitmap_size, 24, 8)),
      STRUCT(vfio_iommu_type1_info_dma_avail, 12, kHeader, FIELD(header, 0, 8), FIELD(avail, 8, 4)),
      STRUCT(vfio_bitmap, 24, kHeader, FIELD(pgsize, 0, 8), FIELD(size, 8, 8), FIELD(data, 16, 8)),
      STRUCT(vfio_iommu_type1_dirty_bitmap_get, 40, kHeader, FIELD(iova, 0, 8), FIELD(size, 8, 8),
             FIELD(bitmap, 16, 24)),
      STRUCT(vfio_region_sparse_mmap_area, 16, kHeader, FIELD(offset, 0, 8), FIELD(size, 8, 8)),
      STRUCT(vfio_region_info_cap_sparse_mmap, 16, kHeader, FIELD(header, 0, 8), FIELD(nr_areas, 8, 4)),
      STRUCT(vfio_region_info_cap_type, 16, kHeader, FIELD(header, 0, 8), FIELD(type, 8, 4), FIELD(subtype, 12, 4)),
      STRUCT(vfio_pci_dependent_device, 8, kHeader, FIELD(group_id, 0, 4), FIELD(segment, 4, 2), FIELD(bus, 6, 1),
             FIELD(devfn, 7, 1)),
      EITHER(vfio_device_feature_bus_master, 4, FIELD(op, 0, 4)),
      EITHER(vfio_device_feature_dma_buf, 16, FIELD(region_index, 0, 4), FIELD(open_flags, 4, 4), FIELD(flags, 8, 4),
             FIELD(nr_ranges, 12, 4)),
      EITHER(vfio_region_dma_range, 16, FIELD(offset, 0, 8), FIELD(length, 8, 8)),
      STRUCT(kvm_create_device, 12, kHeader, FIELD(type, 0, 4), FIELD(fd, 4, 4), FIELD(flags, 8, 4)),
      STRUCT(kvm_device_attr, 24, kHeader, FIELD(flags, 0, 4), FIELD(group, 4, 4), FIELD(attr, 8, 8),
             FIELD(addr, 16, 8)),
  };
}

std::vector<Request> VfioRequests() {
  return {
      REQUEST(VFIO_GET_API_VERSION, 0x3b64, kHeader),
      REQUEST(VFIO_CHECK_EXTENSION, 0x3b65, kHeader),
      REQUEST(VFIO_SET_IOMMU, 0x3b66, kHeader),
      REQUEST(VFIO_GROUP_GET_STATUS, 0x3b67, kHeader),
      REQUEST(VFIO_GROUP_SET_CONTAINER, 0x3b68, kHeader),
      REQUEST(VFIO_GROUP_UNSET_CONTAINER, 0x3b69, kHeader),
      REQUEST(VFIO_GROUP_GET_DEVICE_FD, 0x3b6a, kHeader),
      REQUEST(VFIO_DEVICE_GET_INFO, 0x3b6b, kHeader),
      REQUEST(VFIO_DEVICE_GET_REGION_INFO, 0x3b6c, kHeader),
      REQUEST(VFIO_DEVICE_GET_IRQ_INFO, 0x3b6d, kHeader),
      REQUEST(VFIO_DEVICE_SET_IRQS, 0x3b6e, kHeader),
      REQUEST(VFIO_DEVICE_RESET, 0x3b6f, kHeader),
      REQUEST(VFIO_IOMMU_GET_INFO, 0x3b70, kHeader),
      REQUEST(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, 0x3b70, kHeader),
      REQUEST(VFIO_IOMMU_MAP_DMA, 0x3b71, kHeader),
      REQUEST(VFIO_DEVICE_PCI_HOT_RESET, 0x3b71, kHeader),
      REQUEST(VFIO_IOMMU_UNMAP_DMA, 0x3b72, kHeader),
      REQUEST(VFIO_IOMMU_ENABLE, 0x3b73, kHeader),
      REQUEST(VFIO_IOMMU_DISABLE, 0x3b74, kHeader),
      REQUEST(VFIO_DEVICE_IOEVENTFD, 0x3b74, kHeader),
      REQUEST(VFIO_IOMMU_DIRTY_PAGES, 0x3b75, kHeader),
      REQUEST(VFIO_DEVICE_FEATURE, 0x3b75, kHeader),
      REQUEST(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76, kHas_vfio_device_bind_iommufd),
      REQUEST(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77, kHas_vfio_device_attach_iommufd_pt),
      REQUEST(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78, kHas_vfio_device_detach_iommufd_pt),
      REQUEST(KVM_CREATE_DEVICE, 0xc00caee0, kHeader),
      REQUEST(KVM_SET_DEVICE_ATTR, 0x4018aee1, kHeader),
      REQUEST(KVM_GET_DEVICE_ATTR, 0x4018aee2, kHeader),
      REQUEST(KVM_HAS_DEVICE_ATTR, 0x4018aee3, kHeader),
  };
}

}  // namespace gmem
