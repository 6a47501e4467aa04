// The few conversions and errors that the entry points share. Codes are Node's own, as in lib/abi/invalid.ts.
#pragma once

#include <node_api.h>

#include <cstdint>

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

inline bool ToU32(double given, double max, uint32_t* number) {
  if (!(given >= 0 && given <= max)) return false;
  *number = static_cast<uint32_t>(given);
  return *number == given;
}

// An fd (max is 31 bits) or a request. On false an error is pending.
inline bool GetU32(napi_env env, napi_value value, double max, uint32_t* number) {
  double given;
  if (napi_get_value_double(env, value, &given) != napi_ok) return ThrowType(env, "fd and request must be numbers");
  return ToU32(given, max, number) || ThrowRange(env, "fd and request must be whole numbers within 31 and 32 bits");
}

}  // namespace gmem
