// The one call whose own cost shows: KVM_CHECK_EXTENSION takes the kernel about as long as a few Node-API calls take.
#include "ioctl.h"

#include <linux/ioctl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <vector>

#include "op.h"
#include "value.h"

namespace gmem {

namespace {

int OnPrivateCopy(int fd, uint32_t request, Bytes bytes, bool* fits) {
  std::vector<uint8_t> own(bytes.data, bytes.data + bytes.size);
  *fits = Fits(request, {own.data(), own.size()});
  if (!*fits) return 0;
  const int result = ioctl(fd, request, own.data());
  const int error = errno;
  std::memcpy(bytes.data, own.data(), own.size());
  errno = error;
  return result;
}

int OnBuffer(int fd, uint32_t request, Bytes bytes, bool* fits) {
  *fits = Fits(request, bytes);
  // A struct that tells its own size must not change between the check and the call, and shared memory may.
  if (*fits && IsSizePrefixed(request)) return OnPrivateCopy(fd, request, bytes, fits);
  return *fits ? ioctl(fd, request, bytes.data) : 0;
}

// What lib/syscalls/native.ts and this function pass to and fro. Arguments and an answer that go through Node-API
// would cost as much again as the call.
struct Frame {
  double fd;
  double request;
  double argument;
  double answer;
};

napi_value OnFrame(napi_env env, napi_callback_info info) {
  void* data;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  Frame* frame = static_cast<Frame*>(data);
  const double argument = frame->argument;
  uint32_t fd;
  uint32_t request;
  if (!ToU32(frame->fd, INT32_MAX, &fd) || !ToU32(frame->request, UINT32_MAX, &request) || !IsPlain(request, argument)) {
    frame->answer = std::nan("");
    return nullptr;
  }
  const int result = ioctl(static_cast<int>(fd), request, static_cast<unsigned long>(argument));
  frame->answer = result < 0 ? -errno : result;
  return nullptr;
}

// Only memory that cannot be detached may be kept by its address.
bool IsShared(napi_env env, napi_value array) {
  napi_value buffer;
  bool is_array_buffer;
  return napi_get_typedarray_info(env, array, nullptr, nullptr, nullptr, &buffer, nullptr) == napi_ok &&
         napi_is_arraybuffer(env, buffer, &is_array_buffer) == napi_ok && !is_array_buffer;
}

}  // namespace

napi_value IoctlNow(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok) return nullptr;
  uint32_t fd;
  uint32_t request;
  Bytes bytes;
  bool fits;
  if (!GetU32(env, argv[0], INT32_MAX, &fd) || !GetU32(env, argv[1], UINT32_MAX, &request)) return nullptr;
  if (!GetBytes(env, argv[2], &bytes)) {
    ThrowType(env, "struct must be a typed array");
    return nullptr;
  }
  const int result = OnBuffer(static_cast<int>(fd), request, bytes, &fits);
  if (!fits) {
    ThrowBounds(env, "struct is smaller than what the kernel would read or write");
    return nullptr;
  }
  napi_value answer = nullptr;
  napi_create_int32(env, result < 0 ? -errno : result, &answer);
  return answer;
}

napi_value IoctlFrame(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value frame;
  Bytes bytes;
  napi_value function = nullptr;
  if (napi_get_cb_info(env, info, &argc, &frame, nullptr, nullptr) != napi_ok) return nullptr;
  if (!GetBytes(env, frame, &bytes) || bytes.size < sizeof(Frame) || !IsShared(env, frame) ||
      reinterpret_cast<uintptr_t>(bytes.data) % alignof(Frame) != 0) {
    ThrowType(env, "frame must be a Float64Array of 4 numbers in a SharedArrayBuffer");
    return nullptr;
  }
  if (napi_create_function(env, "ioctl", NAPI_AUTO_LENGTH, OnFrame, bytes.data, &function) != napi_ok) return nullptr;
  // The function holds the frame, for as long as there is somebody to call it.
  const napi_property_descriptor held = {"frame", nullptr, nullptr,      nullptr, nullptr,
                                         frame,   napi_default, nullptr};
  return napi_define_properties(env, function, 1, &held) == napi_ok ? function : nullptr;
}

}  // namespace gmem
