// The part of layouts.cc that concerns iommufd.
#pragma once

#include <vector>

#include "layout.h"

namespace gmem {

std::vector<Layout> IommufdStructs();
std::vector<Request> IommufdRequests();

}  // namespace gmem
