#pragma once

#include <node_api.h>

#include "racer.h"

namespace gmem {

// What a racer did, for lib/syscalls/race.ts: [[steps made], tallies in rows of four, lost byte or nothing, memory].
napi_value RaceResult(napi_env env, const Racer& racer);

}  // namespace gmem
