// Copies to and from memory that may refuse to be touched, as a private guest_memfd page does with SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>

#include "state.h"

namespace gmem {

// Answers the number of bytes that arrived before the first one that cannot, or -errno when that is the first.
int64_t Copy(State* state, void* to, const void* from, size_t size);

}  // namespace gmem
