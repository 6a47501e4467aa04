#pragma once

#include <vector>

#include "layout.h"

namespace gmem {

// The part of the table that lib/abi/encrypt-op.ts, sev.ts and tdx.ts declare. Empty on machines other than x86.
std::vector<Layout> EncryptStructs();
std::vector<Request> EncryptRequests();
// The numbers of the commands that travel inside KVM_MEMORY_ENCRYPT_OP.
std::vector<Request> EncryptCommands();

}  // namespace gmem
