// A system call as data: what JavaScript packs, and what the executing thread works on.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

// The order here is the code of a call; JavaScript learns it from the addon's `calls`.
#define GMEM_CALLS(CALL)                                                                     \
  CALL(ioctl) CALL(ioctlFd) CALL(ioctlMany) CALL(open) CALL(close) CALL(dup)                  \
  CALL(memfdCreate) CALL(eventfd) CALL(fstat) CALL(ftruncate) CALL(fallocate)                 \
  CALL(read) CALL(write) CALL(pread) CALL(pwrite)                                             \
  CALL(mmap) CALL(munmap) CALL(madvise) CALL(copyIn) CALL(copyOut) CALL(pointer)

namespace gmem {

#define GMEM_ENUMERATOR(name) name,
enum class Call : int32_t { GMEM_CALLS(GMEM_ENUMERATOR) };
#undef GMEM_ENUMERATOR

// What lib/syscalls/op.ts writes, field by field. Which fields a call uses is told there.
struct Record {
  Call call;
  int32_t fd;
  uint32_t request;
  uint32_t flags;
  double number;
  int64_t offset;
  int64_t length;
  int32_t buffer;  // index into the buffers handed over with the records, or -1
  uint32_t at;
};
static_assert(sizeof(Record) == 48, "lib/syscalls/op.ts writes 48 bytes a record");

// In the flags of an ioctl: the argument is the address in `offset`.
constexpr uint32_t kArgumentIsAddress = 1;

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// A u64 of the struct that is to hold a buffer's address.
struct Fixup {
  size_t at;
  int32_t buffer;
  Bytes to;
};
static_assert(sizeof(void*) == sizeof(uint64_t), "KVM's 32-bit hosts are not supported");

// An ioctl works on a private copy of its struct: what was checked cannot change before the kernel reads it, and a
// buffer's address never stands where JavaScript could read it.
struct PrivateStruct {
  std::vector<uint8_t> bytes;
  std::vector<Fixup> fixups;
};

struct Op {
  Record record;
  Bytes bytes;
  std::unique_ptr<PrivateStruct> own;
  double result;
  double completed;
  bool refused;
};

// Memory of a typed array; false when `value` is not one. A detached one has size 0.
bool GetBytes(napi_env env, napi_value value, Bytes* bytes);

// Reads and checks `count` records. On false a TypeError or RangeError is pending.
// An op whose memory does not fit is marked `refused` instead: the buffer may have been detached since it was issued.
bool Decode(napi_env env, napi_value records, napi_value count, napi_value buffers, std::vector<Op>* ops);

// Hands results and the structs' new contents back to the records and buffers that Decode read.
// Where a struct was patched, the caller's own bytes stay.
void Deliver(napi_env env, napi_value records, napi_value buffers, std::vector<Op>* ops);

// iommufd and VFIO: the request tells no size, the struct starts with its own.
bool IsSizePrefixed(uint32_t request);
// Whether the kernel will stay inside these bytes when it is given this request.
bool Fits(uint32_t request, Bytes bytes);
// Whether a plain number is harmless as the argument of this request, that is, cannot be taken for a pointer.
bool IsPlain(uint32_t request, double number);

}  // namespace gmem
