#include "copy.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace gmem {

namespace {
// Small enough to stay in a second-level cache between the two halves of the copy.
constexpr size_t kChunk = 256 * 1024;
}  // namespace

// The kernel does the touching: a page that would raise SIGBUS makes pread and pwrite stop short there, with EFAULT
// when nothing was copied. No signal handler is needed, and unlike process_vm_readv no page gains a reference, which
// would make a concurrent conversion fail with EAGAIN.
int64_t Copy(State* state, void* to, const void* from, size_t size) {
  if (size == 0) return 0;
  const int scratch = state->TakeScratch();
  if (scratch < 0) return scratch;
  size_t done = 0;
  int64_t refusal = 0;
  while (done < size) {
    const ssize_t in = pwrite(scratch, static_cast<const char*>(from) + done, std::min(kChunk, size - done), 0);
    const ssize_t out = in < 0 ? in : pread(scratch, static_cast<char*>(to) + done, static_cast<size_t>(in), 0);
    if (out <= 0) {
      refusal = out < 0 ? -errno : -EFAULT;
      break;
    }
    // A short count is followed by one more attempt from there, which either goes on or says why not.
    done += static_cast<size_t>(out);
  }
  state->PutScratch(scratch);
  return done > 0 ? static_cast<int64_t>(done) : refusal;
}

}  // namespace gmem
