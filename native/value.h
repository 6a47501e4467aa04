// The few conversions and errors that the entry points share. Codes are Node's own, as in lib/abi/invalid.ts.
#pragma once

#include <node_api.h>

namespace gmem {

// All of these answer false, so that a check can `return ThrowType(...)`.
inline bool ThrowType(napi_env env, const char* message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

inline bool ThrowRange(napi_env env, const char* message) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

inline bool ThrowBounds(napi_env env, const char* message) {
  napi_throw_range_error(env, "ERR_BUFFER_OUT_OF_BOUNDS", message);
  return false;
}

}  // namespace gmem
