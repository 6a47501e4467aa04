#pragma once

#include <vector>

#include "layout.h"

namespace gmem {

// The part of the table that lib/abi/vcpu.ts declares. Empty on machines other than x86, whose registers are others.
std::vector<Layout> VcpuStructs();
std::vector<Request> VcpuRequests();

}  // namespace gmem
