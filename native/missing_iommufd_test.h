// IOMMU_TEST_CMD's struct: the kernel keeps it with its driver, so no header package has it.
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>

namespace gmem {

struct iommu_test_cmd {
  __u32 size, op, id, __reserved;
  union {
    struct {
      __u64 start, length;
    } add_reserved;
    struct {
      __u32 out_stdev_id, out_hwpt_id, out_idev_id;
    } mock_domain;
    struct {
      __u64 iova, length, uptr;
    } check_map;
    struct {
      __u64 length, uptr;
      __u32 refs;
    } check_refs;
    struct {
      __u32 out_access_fd, flags;
    } create_access;
    struct {
      __u32 access_pages_id;
    } destroy_access_pages;
    struct {
      __u32 flags, out_access_pages_id;
      __u64 iova, length, uptr;
    } access_pages;
    struct {
      __u64 iova, length, uptr;
      __u32 flags;
    } access_rw;
    struct {
      __u32 limit;
    } memory_limit;
    struct {
      __u32 pt_id;
    } mock_domain_replace;
    struct {
      __u32 ioas_id;
    } access_replace_ioas;
    struct {
      __u32 out_stdev_id, out_hwpt_id, out_idev_id, dev_flags;
    } mock_domain_flags;
    struct {
      __u32 flags;
      __u64 iova, length, page_size, uptr, out_nr_dirty;
    } dirty;
    struct {
      __u32 id, iotlb;
    } check_iotlb;
    struct {
      __u32 dev_id, pasid, grpid, perm;
      __u64 addr;
    } trigger_iopf;
    struct {
      __u32 id, cache;
    } check_dev_cache;
    struct {
      __u32 dev_id;
    } trigger_vevent;
    struct {
      __u32 pasid, pt_id;
    } pasid_attach;
    struct {
      __u32 pasid, pt_id;
    } pasid_replace;
    struct {
      __u32 pasid;
    } pasid_detach;
    struct {
      __u32 pasid, hwpt_id;
    } pasid_check;
    struct {
      __u32 length, open_flags;
    } dmabuf_get;
    struct {
      __s32 dmabuf_fd;
      __u32 revoked;
    } dmabuf_revoke;
  };
  __u32 last;
};
#define IOMMU_TEST_CMD _IO(';', 0xa0)

}  // namespace gmem
