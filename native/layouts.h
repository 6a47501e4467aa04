#pragma once

#include <node_api.h>

namespace gmem {

// layouts(): what this addon's compiler made of the kernel's structs and request numbers.
napi_value Layouts(napi_env env, napi_callback_info info);

}  // namespace gmem
