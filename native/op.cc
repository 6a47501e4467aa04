#include "op.h"

#include <linux/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>

#include "value.h"

namespace gmem {

namespace {

// iommufd and VFIO: _IO() numbers.
constexpr uint32_t kSizePrefixedType = 0x3b;
// The two of that type that have none: a pointer to an fd, and a device's name.
constexpr uint32_t kVfioGroupSetContainer = 0x3b68;
constexpr uint32_t kVfioGroupGetDeviceFd = 0x3b6a;
// Below this no process has memory (the default of vm.mmap_min_addr), so the kernel answers EFAULT.
constexpr double kNoMemoryBelow = 65536;
constexpr double kMaxSafeInteger = 9007199254740991;

bool IsLength(double number) {
  return number >= 0 && number <= kMaxSafeInteger && static_cast<double>(static_cast<int64_t>(number)) == number;
}

bool IsText(Bytes bytes) { return bytes.size > 0 && std::memchr(bytes.data, 0, bytes.size) != nullptr; }

size_t ElementSize(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

bool FitsMany(uint32_t request, Bytes bytes) {
  const size_t size = _IOC_SIZE(request);
  return bytes.size % (size > 0 ? size : sizeof(uint64_t)) == 0;
}

bool FitsIoctl(const Record& record, PrivateStruct* own) {
  if (own == nullptr) return (record.flags & kArgumentIsAddress) || IsPlain(record.request, record.number);
  const size_t size = own->bytes.size();
  for (const Fixup& fixup : own->fixups) {
    if (size < sizeof(uint64_t) || fixup.at > size - sizeof(uint64_t)) return false;
  }
  return !(record.flags & kArgumentIsAddress) && Fits(record.request, {own->bytes.data(), size});
}

// Memory safety only. Whether the call makes sense is for arguments.ts and the kernel to say.
bool Admit(const Op& op) {
  switch (op.record.call) {
    case Call::ioctl:
    case Call::ioctlFd:
      return FitsIoctl(op.record, op.own.get());
    case Call::ioctlMany:
      return FitsMany(op.record.request, op.bytes);
    case Call::open:
    case Call::memfdCreate:
      return IsText(op.bytes);
    case Call::fstat:
      return op.bytes.size >= sizeof(struct statx);
    case Call::mmap:
      return IsLength(op.record.number) && !(op.record.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE));
    case Call::munmap:
    case Call::madvise:
      return IsLength(op.record.number);
    default:
      return true;
  }
}

bool GetRecords(napi_env env, napi_value value, Bytes* bytes) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    return false;
  }
  *bytes = {static_cast<uint8_t*>(data), length * sizeof(double)};
  return true;
}

bool GetBuffer(napi_env env, napi_value buffers, int32_t index, Bytes* bytes) {
  napi_value value;
  return napi_get_element(env, buffers, static_cast<uint32_t>(index), &value) == napi_ok && GetBytes(env, value, bytes);
}

bool IsStructCall(Call call) { return call == Call::ioctl || call == Call::ioctlFd; }

bool DecodeOne(napi_env env, const Record& record, std::vector<Op>* ops) {
  if (record.call < Call::ioctl || record.call > Call::pointer) return ThrowRange(env, "a record's call is unknown");
  if (record.call == Call::pointer) {
    if (record.buffer < 0 || ops->empty() || ops->back().own == nullptr) {
      return ThrowRange(env, "a pointer record must follow that of an ioctl with a struct");
    }
    ops->back().own->fixups.push_back({record.at, record.buffer, {}});
    return true;
  }
  Op& op = ops->emplace_back(Op{record, {}, nullptr, 0, 0, false});
  if (record.buffer >= 0 && IsStructCall(record.call)) op.own = std::make_unique<PrivateStruct>();
  return true;
}

// Two rounds: reading an element may run JavaScript, which may move memory whose address is already known.
bool FindBuffers(napi_env env, napi_value buffers, std::vector<Op>* ops) {
  std::vector<napi_value> values;
  std::vector<Bytes*> targets;
  const auto want = [&](int32_t index, Bytes* target) {
    targets.push_back(target);
    values.push_back(nullptr);
    return napi_get_element(env, buffers, static_cast<uint32_t>(index), &values.back()) == napi_ok;
  };
  for (Op& op : *ops) {
    bool found = op.record.buffer < 0 || want(op.record.buffer, &op.bytes);
    if (op.own != nullptr) {
      for (Fixup& fixup : op.own->fixups) found = found && want(fixup.buffer, &fixup.to);
    }
    if (!found) return false;
  }
  for (size_t i = 0; i < values.size(); i++) {
    if (!GetBytes(env, values[i], targets[i])) {
      return ThrowType(env, "buffers must hold a typed array at every index that a record names");
    }
  }
  return true;
}

}  // namespace

bool GetBytes(napi_env env, napi_value value, Bytes* bytes) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  const size_t element = ElementSize(type);
  *bytes = {static_cast<uint8_t*>(data), length * element};
  return element > 0;
}

bool IsSizePrefixed(uint32_t request) { return _IOC_TYPE(request) == kSizePrefixedType; }

bool Fits(uint32_t request, Bytes bytes) {
  if (bytes.size < _IOC_SIZE(request)) return false;
  if (!IsSizePrefixed(request)) return true;
  if (request == kVfioGroupGetDeviceFd) return IsText(bytes);
  uint32_t leading;
  if (bytes.size < sizeof leading) return false;
  std::memcpy(&leading, bytes.data, sizeof leading);
  return request == kVfioGroupSetContainer || leading <= bytes.size;
}

bool IsPlain(uint32_t request, double number) {
  if (IsSizePrefixed(request) && _IOC_SIZE(request) == 0) return number >= 0 && number < kNoMemoryBelow;
  return number == 0 || (_IOC_SIZE(request) == 0 && IsLength(number));
}

bool Decode(napi_env env, napi_value records, napi_value count, napi_value buffers, std::vector<Op>* ops) {
  Bytes packed;
  if (!GetRecords(env, records, &packed)) return ThrowType(env, "records must be a Float64Array");
  double wanted;
  if (napi_get_value_double(env, count, &wanted) != napi_ok) return ThrowType(env, "count must be a number");
  const size_t held = packed.size / sizeof(Record);
  if (!IsLength(wanted) || wanted < 1 || wanted > static_cast<double>(held)) {
    return ThrowRange(env, "count must be from 1 to the number of records");
  }
  bool is_array = false;
  if (napi_is_array(env, buffers, &is_array) != napi_ok || !is_array) {
    return ThrowType(env, "buffers must be an array");
  }
  ops->reserve(static_cast<size_t>(wanted));
  for (size_t i = 0; i < static_cast<size_t>(wanted); i++) {
    Record record;
    std::memcpy(&record, packed.data + i * sizeof record, sizeof record);
    if (!DecodeOne(env, record, ops)) return false;
  }
  if (!FindBuffers(env, buffers, ops)) return false;
  for (Op& op : *ops) {
    if (op.own != nullptr) op.own->bytes.assign(op.bytes.data, op.bytes.data + op.bytes.size);
    op.refused = !Admit(op);
  }
  return true;
}

void Deliver(napi_env env, napi_value records, napi_value buffers, std::vector<Op>* ops) {
  Bytes packed;
  if (!GetRecords(env, records, &packed)) return;
  size_t at = 0;
  for (const Op& op : *ops) {
    // One record's first two numbers; lib/syscalls/op.ts reads them there.
    const double answer[] = {op.refused ? std::nan("") : op.result, op.completed};
    if (at + sizeof(Record) > packed.size) return;
    std::memcpy(packed.data + at, answer, sizeof answer);
    at += sizeof(Record) * (1 + (op.own == nullptr ? 0 : op.own->fixups.size()));
  }
  for (const Op& op : *ops) {
    Bytes target;
    if (op.own == nullptr || op.refused || !GetBuffer(env, buffers, op.record.buffer, &target)) continue;
    std::vector<uint8_t>& bytes = op.own->bytes;
    if (bytes.empty() || target.size < bytes.size()) continue;  // it shrank or was detached meanwhile
    for (const Fixup& fixup : op.own->fixups) {
      std::memcpy(bytes.data() + fixup.at, target.data + fixup.at, sizeof(uint64_t));
    }
    std::memcpy(target.data, bytes.data(), bytes.size());
  }
}

}  // namespace gmem
