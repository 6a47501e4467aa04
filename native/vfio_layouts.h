// The part of layouts.cc that concerns VFIO, and KVM's devices, of which VFIO's is one.
#pragma once

#include <vector>

#include "layout.h"

namespace gmem {

std::vector<Layout> VfioStructs();
std::vector<Request> VfioRequests();

}  // namespace gmem
