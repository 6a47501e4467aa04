// Signals and the threads made here.
#pragma once

#include <csignal>

namespace gmem {

// A thread made meanwhile inherits the mask: no signal of the process ends up there and makes its calls come back.
// (On Linux the mask is the calling thread's; pthread_sigmask would need a newer C library than Node does.)
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  ~AllSignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace gmem
