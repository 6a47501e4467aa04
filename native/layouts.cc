// Every struct and request number of lib/abi, as the C compiler sees it. A header that disagrees fails the build; the
// same table goes to test/abi/layouts.test.ts, which holds lib/abi to it.
#include "layouts.h"

#include <linux/stat.h>
#include <linux/version.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "encrypt_layouts.h"
#include "iommufd_layouts.h"
#include "layout.h"
#include "missing.h"
#include "vcpu_layouts.h"
#include "vfio_layouts.h"

namespace gmem {

namespace {

std::vector<Layout> Structs() {
  return {
      STRUCT(kvm_enable_cap, 104, kHeader, FIELD(cap, 0, 4), FIELD(flags, 4, 4), FIELD(args, 8, 32),
             FIELD(pad, 40, 64)),
      STRUCT(kvm_userspace_memory_region, 32, kHeader, FIELD(slot, 0, 4), FIELD(flags, 4, 4),
             FIELD(guest_phys_addr, 8, 8), FIELD(memory_size, 16, 8), FIELD(userspace_addr, 24, 8)),
      STRUCT(kvm_userspace_memory_region2, 160, kHasRegion2, FIELD(slot, 0, 4), FIELD(flags, 4, 4),
             FIELD(guest_phys_addr, 8, 8), FIELD(memory_size, 16, 8), FIELD(userspace_addr, 24, 8),
             FIELD(guest_memfd_offset, 32, 8), FIELD(guest_memfd, 40, 4), FIELD(pad1, 44, 4), FIELD(pad2, 48, 112)),
      STRUCT(kvm_memory_attributes, 32, kHasAttributes, FIELD(address, 0, 8), FIELD(size, 8, 8),
             FIELD(attributes, 16, 8), FIELD(flags, 24, 8)),
      STRUCT(kvm_create_guest_memfd, 64, kHasGuestMemfd, FIELD(size, 0, 8), FIELD(flags, 8, 8),
             FIELD(reserved, 16, 48)),
      STRUCT(kvm_gmem_convert, 64, kHasConvert, FIELD(offset, 0, 8), FIELD(size, 8, 8), FIELD(error_offset, 16, 8),
             FIELD(reserved, 24, 40)),
      STRUCT(kvm_memory_attributes2, 128, kHasAttributes2, FIELD(offset, 0, 8), FIELD(size, 8, 8),
             FIELD(attributes, 16, 8), FIELD(flags, 24, 8), FIELD(error_offset, 32, 8), FIELD(reserved, 40, 88)),
      STRUCT(statx_timestamp, 16, kHeader, FIELD(tv_sec, 0, 8), FIELD(tv_nsec, 8, 4)),
      // What follows stx_dev_minor grows with the kernel; the package reads none of it.
      STRUCT(statx, 256, kHeader, FIELD(stx_mask, 0, 4), FIELD(stx_blksize, 4, 4), FIELD(stx_attributes, 8, 8),
             FIELD(stx_nlink, 16, 4), FIELD(stx_uid, 20, 4), FIELD(stx_gid, 24, 4), FIELD(stx_mode, 28, 2),
             FIELD(stx_ino, 32, 8), FIELD(stx_size, 40, 8), FIELD(stx_blocks, 48, 8),
             FIELD(stx_attributes_mask, 56, 8), FIELD(stx_atime, 64, 16), FIELD(stx_btime, 80, 16),
             FIELD(stx_ctime, 96, 16), FIELD(stx_mtime, 112, 16), FIELD(stx_rdev_major, 128, 4),
             FIELD(stx_rdev_minor, 132, 4), FIELD(stx_dev_major, 136, 4), FIELD(stx_dev_minor, 140, 4)),
  };
}

std::vector<Request> Requests() {
  return {
      REQUEST(KVM_GET_API_VERSION, 0xae00, kHeader),
      REQUEST(KVM_CREATE_VM, 0xae01, kHeader),
      REQUEST(KVM_CHECK_EXTENSION, 0xae03, kHeader),
      REQUEST(KVM_ENABLE_CAP, 0x4068aea3, kHeader),
      REQUEST(KVM_SET_USER_MEMORY_REGION, 0x4020ae46, kHeader),
      REQUEST(KVM_SET_USER_MEMORY_REGION2, 0x40a0ae49, kHasRegion2),
      REQUEST(KVM_SET_MEMORY_ATTRIBUTES, 0x4020aed2, kHasAttributes),
      REQUEST(KVM_CREATE_GUEST_MEMFD, 0xc040aed4, kHasGuestMemfd),
      REQUEST(KVM_GMEM_CONVERT_SHARED, 0xc040af41, kHasConvert),
      REQUEST(KVM_GMEM_CONVERT_PRIVATE, 0xc040af42, kHasConvert),
      REQUEST(KVM_SET_MEMORY_ATTRIBUTES2, 0xc080aed2, kHasAttributes2),
  };
}

// Plain objects for JavaScript. A failure leaves an exception pending, which ends the call.
class Builder {
 public:
  explicit Builder(napi_env env) : env_(env) { napi_create_object(env, &object_); }
  Builder& Set(const char* name, double number) {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    return Set(name, value);
  }
  Builder& Set(const char* name, const char* text) {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &value);
    return Set(name, value);
  }
  Builder& Set(const char* name, napi_value value) {
    napi_set_named_property(env_, object_, name, value);
    return *this;
  }
  napi_value object() const { return object_; }

 private:
  napi_env env_;
  napi_value object_ = nullptr;
};

template <typename Item, typename Convert>
napi_value List(napi_env env, const std::vector<Item>& items, Convert convert) {
  napi_value list = nullptr;
  napi_create_array_with_length(env, items.size(), &list);
  uint32_t index = 0;
  for (const Item& item : items) napi_set_element(env, list, index++, convert(item));
  return list;
}

template <typename Item>
std::vector<Item> Joined(std::initializer_list<std::vector<Item>> lists) {
  std::vector<Item> all;
  for (const std::vector<Item>& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

const char* Source(bool from_header) { return from_header ? "header" : "own"; }

}  // namespace

napi_value Layouts(napi_env env, napi_callback_info) {
  const auto field = [env](const Field& item) {
    return Builder(env)
        .Set("name", item.name)
        .Set("offset", static_cast<double>(item.offset))
        .Set("size", static_cast<double>(item.size))
        .object();
  };
  const auto layout = [env, field](const Layout& item) {
    return Builder(env)
        .Set("name", item.name)
        .Set("size", static_cast<double>(item.size))
        .Set("source", Source(item.from_header))
        .Set("fields", List(env, item.fields, field))
        .object();
  };
  const auto request = [env](const Request& item) {
    return Builder(env)
        .Set("name", item.name)
        .Set("number", static_cast<double>(item.number))
        .Set("source", Source(item.from_header))
        .object();
  };
  return Builder(env)
      .Set("linuxVersionCode", static_cast<double>(LINUX_VERSION_CODE))
      .Set("structs",
           List(env, Joined({Structs(), VcpuStructs(), EncryptStructs(), IommufdStructs(), VfioStructs()}), layout))
      .Set("requests",
           List(env, Joined({Requests(), VcpuRequests(), EncryptRequests(), IommufdRequests(), VfioRequests()}), request))
      .Set("commands", List(env, EncryptCommands(), request))
      .object();
}

}  // namespace gmem
