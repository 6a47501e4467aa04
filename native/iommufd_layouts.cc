#include "iommufd_layouts.h"

#include "missing_iommufd.h"
#include "missing_iommufd_test.h"

namespace gmem {

namespace {

constexpr size_t kUnion = 16;

#define ARM(arm, bytes, ...)                                                                     \
  [] {                                                                                           \
    static_assert(offsetof(struct iommu_test_cmd, arm) == kUnion, #arm " is not in the union");  \
    using Arm = decltype(iommu_test_cmd::arm);                                                   \
    return LAYOUT("iommu_test_cmd." #arm, Arm, bytes, false, __VA_ARGS__);                       \
  }()

std::vector<Layout> TestStructs() {
  return {
      STRUCT(iommu_test_cmd, 72, false, FIELD(size, 0, 4), FIELD(op, 4, 4), FIELD(id, 8, 4), FIELD(__reserved, 12, 4),
             FIELD(last, 64, 4)),
      ARM(add_reserved, 16, FIELD(start, 0, 8), FIELD(length, 8, 8)),
      ARM(mock_domain, 12, FIELD(out_stdev_id, 0, 4), FIELD(out_hwpt_id, 4, 4), FIELD(out_idev_id, 8, 4)),
      ARM(check_map, 24, FIELD(iova, 0, 8), FIELD(length, 8, 8), FIELD(uptr, 16, 8)),
      ARM(check_refs, 24, FIELD(length, 0, 8), FIELD(uptr, 8, 8), FIELD(refs, 16, 4)),
      ARM(create_access, 8, FIELD(out_access_fd, 0, 4), FIELD(flags, 4, 4)),
      ARM(destroy_access_pages, 4, FIELD(access_pages_id, 0, 4)),
      ARM(access_pages, 32, FIELD(flags, 0, 4), FIELD(out_access_pages_id, 4, 4), FIELD(iova, 8, 8),
          FIELD(length, 16, 8), FIELD(uptr, 24, 8)),
      ARM(access_rw, 32, FIELD(iova, 0, 8), FIELD(length, 8, 8), FIELD(uptr, 16, 8), FIELD(flags, 24, 4)),
      ARM(memory_limit, 4, FIELD(limit, 0, 4)),
      ARM(mock_domain_replace, 4, FIELD(pt_id, 0, 4)),
      ARM(access_replace_ioas, 4, FIELD(ioas_id, 0, 4)),
      ARM(mock_domain_flags, 16, FIELD(out_stdev_id, 0, 4), FIELD(out_hwpt_id, 4, 4), FIELD(out_idev_id, 8, 4),
          FIELD(dev_flags, 12, 4)),
      ARM(dirty, 48, FIELD(flags, 0, 4), FIELD(iova, 8, 8), FIELD(length, 16, 8), FIELD(page_size, 24, 8),
          FIELD(uptr, 32, 8), FIELD(out_nr_dirty, 40, 8)),
      ARM(check_iotlb, 8, FIELD(id, 0, 4), FIELD(iotlb, 4, 4)),
      ARM(trigger_iopf, 24, FIELD(dev_id, 0, 4), FIELD(pasid, 4, 4), FIELD(grpid, 8, 4), FIELD(perm, 12, 4),
          FIELD(addr, 16, 8)),
      ARM(check_dev_cache, 8, FIELD(id, 0, 4), FIELD(cache, 4, 4)),
      ARM(trigger_vevent, 4, FIELD(dev_id, 0, 4)),
      ARM(pasid_attach, 8, FIELD(pasid, 0, 4), FIELD(pt_id, 4, 4)),
      ARM(pasid_replace, 8, FIELD(pasid, 0, 4), FIELD(pt_id, 4, 4)),
      ARM(pasid_detach, 4, FIELD(pasid, 0, 4)),
      ARM(pasid_check, 8, FIELD(pasid, 0, 4), FIELD(hwpt_id, 4, 4)),
      ARM(dmabuf_get, 8, FIELD(length, 0, 4), FIELD(open_flags, 4, 4)),
      ARM(dmabuf_revoke, 8, FIELD(dmabuf_fd, 0, 4), FIELD(revoked, 4, 4)),
  };
}

}  // namespace

std::vector<Layout> IommufdStructs() {
  std::vector<Layout> structs = {
      EITHER(iommu_iova_range, 16, FIELD(start, 0, 8), FIELD(last, 8, 8)),
      EITHER(iommu_destroy, 8, FIELD(size, 0, 4), FIELD(id, 4, 4)),
      EITHER(iommu_ioas_alloc, 12, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(out_ioas_id, 8, 4)),
      EITHER(iommu_ioas_allow_iovas, 24, FIELD(size, 0, 4), FIELD(ioas_id, 4, 4), FIELD(num_iovas, 8, 4),
             FIELD(__reserved, 12, 4), FIELD(allowed_iovas, 16, 8)),
      EITHER(iommu_ioas_copy, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(dst_ioas_id, 8, 4),
             FIELD(src_ioas_id, 12, 4), FIELD(length, 16, 8), FIELD(dst_iova, 24, 8), FIELD(src_iova, 32, 8)),
      EITHER(iommu_ioas_iova_ranges, 32, FIELD(size, 0, 4), FIELD(ioas_id, 4, 4), FIELD(num_iovas, 8, 4),
             FIELD(__reserved, 12, 4), FIELD(allowed_iovas, 16, 8), FIELD(out_iova_alignment, 24, 8)),
      EITHER(iommu_ioas_map, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(ioas_id, 8, 4),
             FIELD(__reserved, 12, 4), FIELD(user_va, 16, 8), FIELD(length, 24, 8), FIELD(iova, 32, 8)),
      EITHER(iommu_ioas_unmap, 24, FIELD(size, 0, 4), FIELD(ioas_id, 4, 4), FIELD(iova, 8, 8), FIELD(length, 16, 8)),
      EITHER(iommu_option, 24, FIELD(size, 0, 4), FIELD(option_id, 4, 4), FIELD(op, 8, 2), FIELD(__reserved, 10, 2),
             FIELD(object_id, 12, 4), FIELD(val64, 16, 8)),
      EITHER(iommu_vfio_ioas, 12, FIELD(size, 0, 4), FIELD(ioas_id, 4, 4), FIELD(op, 8, 2), FIELD(__reserved, 10, 2)),
      EITHER(iommu_hwpt_alloc, 48, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(dev_id, 8, 4), FIELD(pt_id, 12, 4),
             FIELD(out_hwpt_id, 16, 4), FIELD(__reserved, 20, 4), FIELD(data_type, 24, 4), FIELD(data_len, 28, 4),
             FIELD(data_uptr, 32, 8), FIELD(fault_id, 40, 4), FIELD(__reserved2, 44, 4)),
      EITHER(iommu_hw_info, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(dev_id, 8, 4), FIELD(data_len, 12, 4),
             FIELD(data_uptr, 16, 8), FIELD(out_data_type, 24, 4), FIELD(out_max_pasid_log2, 28, 1),
             FIELD(__reserved, 29, 3), FIELD(out_capabilities, 32, 8)),
      EITHER(iommu_hwpt_set_dirty_tracking, 16, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(hwpt_id, 8, 4),
             FIELD(__reserved, 12, 4)),
      EITHER(iommu_hwpt_get_dirty_bitmap, 48, FIELD(size, 0, 4), FIELD(hwpt_id, 4, 4), FIELD(flags, 8, 4),
             FIELD(__reserved, 12, 4), FIELD(iova, 16, 8), FIELD(length, 24, 8), FIELD(page_size, 32, 8),
             FIELD(data, 40, 8)),
      EITHER(iommu_hwpt_invalidate, 32, FIELD(size, 0, 4), FIELD(hwpt_id, 4, 4), FIELD(data_uptr, 8, 8),
             FIELD(data_type, 16, 4), FIELD(entry_len, 20, 4), FIELD(entry_num, 24, 4), FIELD(__reserved, 28, 4)),
      EITHER(iommu_fault_alloc, 16, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(out_fault_id, 8, 4),
             FIELD(out_fault_fd, 12, 4)),
      EITHER(iommu_ioas_map_file, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(ioas_id, 8, 4), FIELD(fd, 12, 4),
             FIELD(start, 16, 8), FIELD(length, 24, 8), FIELD(iova, 32, 8)),
      EITHER(iommu_viommu_alloc, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(type, 8, 4), FIELD(dev_id, 12, 4),
             FIELD(hwpt_id, 16, 4), FIELD(out_viommu_id, 20, 4), FIELD(data_len, 24, 4), FIELD(__reserved, 28, 4),
             FIELD(data_uptr, 32, 8)),
      EITHER(iommu_vdevice_alloc, 24, FIELD(size, 0, 4), FIELD(viommu_id, 4, 4), FIELD(dev_id, 8, 4),
             FIELD(out_vdevice_id, 12, 4), FIELD(virt_id, 16, 8)),
      EITHER(iommu_ioas_change_process, 8, FIELD(size, 0, 4), FIELD(__reserved, 4, 4)),
      EITHER(iommu_veventq_alloc, 32, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(viommu_id, 8, 4),
             FIELD(type, 12, 4), FIELD(veventq_depth, 16, 4), FIELD(out_veventq_id, 20, 4),
             FIELD(out_veventq_fd, 24, 4), FIELD(__reserved, 28, 4)),
      EITHER(iommu_hw_queue_alloc, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(viommu_id, 8, 4),
             FIELD(type, 12, 4), FIELD(index, 16, 4), FIELD(out_hw_queue_id, 20, 4),
             FIELD(nesting_parent_iova, 24, 8), FIELD(length, 32, 8)),
      EITHER(iommu_ioas_noiommu_get_pa, 40, FIELD(size, 0, 4), FIELD(flags, 4, 4), FIELD(ioas_id, 8, 4),
             FIELD(__reserved, 12, 4), FIELD(iova, 16, 8), FIELD(length, 24, 8), FIELD(out_phys, 32, 8)),
  };
  for (Layout& layout : TestStructs()) structs.push_back(std::move(layout));
  return structs;
}

std::vector<Request> IommufdRequests() {
  return {
      REQUEST(IOMMU_DESTROY, 0x3b80, kHas_iommu_destroy),
      REQUEST(IOMMU_IOAS_ALLOC, 0x3b81, kHas_iommu_ioas_alloc),
      REQUEST(IOMMU_IOAS_ALLOW_IOVAS, 0x3b82, kHas_iommu_ioas_allow_iovas),
      REQUEST(IOMMU_IOAS_COPY, 0x3b83, kHas_iommu_ioas_copy),
      REQUEST(IOMMU_IOAS_IOVA_RANGES, 0x3b84, kHas_iommu_ioas_iova_ranges),
      REQUEST(IOMMU_IOAS_MAP, 0x3b85, kHas_iommu_ioas_map),
      REQUEST(IOMMU_IOAS_UNMAP, 0x3b86, kHas_iommu_ioas_unmap),
      REQUEST(IOMMU_OPTION, 0x3b87, kHas_iommu_option),
      REQUEST(IOMMU_VFIO_IOAS, 0x3b88, kHas_iommu_vfio_ioas),
      REQUEST(IOMMU_HWPT_ALLOC, 0x3b89, kHas_iommu_hwpt_alloc),
      REQUEST(IOMMU_GET_HW_INFO, 0x3b8a, kHas_iommu_hw_info),
      REQUEST(IOMMU_HWPT_SET_DIRTY_TRACKING, 0x3b8b, kHas_iommu_hwpt_set_dirty_tracking),
      REQUEST(IOMMU_HWPT_GET_DIRTY_BITMAP, 0x3b8c, kHas_iommu_hwpt_get_dirty_bitmap),
      REQUEST(IOMMU_HWPT_INVALIDATE, 0x3b8d, kHas_iommu_hwpt_invalidate),
      REQUEST(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8e, kHas_iommu_fault_alloc),
      REQUEST(IOMMU_IOAS_MAP_FILE, 0x3b8f, kHas_iommu_ioas_map_file),
      REQUEST(IOMMU_VIOMMU_ALLOC, 0x3b90, kHas_iommu_viommu_alloc),
      REQUEST(IOMMU_VDEVICE_ALLOC, 0x3b91, kHas_iommu_vdevice_alloc),
      REQUEST(IOMMU_IOAS_CHANGE_PROCESS, 0x3b92, kHas_iommu_ioas_change_process),
      REQUEST(IOMMU_VEVENTQ_ALLOC, 0x3b93, kHas_iommu_veventq_alloc),
      REQUEST(IOMMU_HW_QUEUE_ALLOC, 0x3b94, kHas_iommu_hw_queue_alloc),
      REQUEST(IOMMU_IOAS_NOIOMMU_GET_PA, 0x3b95, kHas_iommu_ioas_noiommu_get_pa),
      REQUEST(IOMMU_TEST_CMD, 0x3ba0, false),
  };
}

}  // namespace gmem
