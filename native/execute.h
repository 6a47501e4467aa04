#pragma once

#include "op.h"
#include "state.h"

namespace gmem {

// Makes the call of one decoded op, on whichever thread this is, and leaves its answer in it.
void Execute(State* state, Op* op);

}  // namespace gmem
