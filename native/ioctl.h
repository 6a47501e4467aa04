#pragma once

#include <node_api.h>

namespace gmem {

// ioctl(fd, request, struct): one call, made now.
napi_value IoctlNow(napi_env env, napi_callback_info info);
// ioctlFrame(frame): a function that makes one call now, with the plain argument that stands in the frame.
napi_value IoctlFrame(napi_env env, napi_callback_info info);

}  // namespace gmem
