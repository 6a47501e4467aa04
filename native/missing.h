// C declarations of what this build's <linux/kvm.h> does not have yet, by the kernel's names, and whether it has it.
// A header is known to have a struct when it has the ioctl that takes it.
#pragma once

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/types.h>

namespace gmem {

// Linux 6.8.
#ifdef KVM_SET_USER_MEMORY_REGION2
constexpr bool kHasRegion2 = true;
#else
constexpr bool kHasRegion2 = false;
struct kvm_userspace_memory_region2 {
  __u32 slot;
  __u32 flags;
  __u64 guest_phys_addr;
  __u64 memory_size;
  __u64 userspace_addr;
  __u64 guest_memfd_offset;
  __u32 guest_memfd;
  __u32 pad1;
  __u64 pad2[14];
};
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#endif

#ifdef KVM_SET_MEMORY_ATTRIBUTES
constexpr bool kHasAttributes = true;
#else
constexpr bool kHasAttributes = false;
struct kvm_memory_attributes {
  __u64 address;
  __u64 size;
  __u64 attributes;
  __u64 flags;
};
#define KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct kvm_memory_attributes)
#endif

#ifdef KVM_CREATE_GUEST_MEMFD
constexpr bool kHasGuestMemfd = true;
#else
constexpr bool kHasGuestMemfd = false;
struct kvm_create_guest_memfd {
  __u64 size;
  __u64 flags;
  __u64 reserved[6];
};
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif

// "1G page support for guest_memfd", RFC v2 (May 2025), never merged.
#ifdef KVM_GMEM_CONVERT_SHARED
constexpr bool kHasConvert = true;
#else
constexpr bool kHasConvert = false;
struct kvm_gmem_convert {
  __u64 offset;
  __u64 size;
  __u64 error_offset;
  __u64 reserved[5];
};
#define KVM_GMEM_IO 0xAF
#define KVM_GMEM_CONVERT_SHARED _IOWR(KVM_GMEM_IO, 0x41, struct kvm_gmem_convert)
#define KVM_GMEM_CONVERT_PRIVATE _IOWR(KVM_GMEM_IO, 0x42, struct kvm_gmem_convert)
#endif

// "guest_memfd: In-place conversion support", v6 (May 2026) and later.
#ifdef KVM_SET_MEMORY_ATTRIBUTES2
constexpr bool kHasAttributes2 = true;
#else
constexpr bool kHasAttributes2 = false;
struct kvm_memory_attributes2 {
  union {
    __u64 address;
    __u64 offset;
  };
  __u64 size;
  __u64 attributes;
  __u64 flags;
  __u64 error_offset;
  __u64 reserved[11];
};
#define KVM_SET_MEMORY_ATTRIBUTES2 _IOWR(KVMIO, 0xd2, struct kvm_memory_attributes2)
#endif

}  // namespace gmem
