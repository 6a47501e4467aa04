#pragma once

#include <node_api.h>

namespace gmem {

// run(records, count, buffers): makes the calls now, in order.
napi_value Run(napi_env env, napi_callback_info info);
// submit(records, count, buffers, done): makes them in order on a thread of libuv's pool, then calls done().
napi_value Submit(napi_env env, napi_callback_info info);

}  // namespace gmem
