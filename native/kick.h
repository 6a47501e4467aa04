// Makes a thread come back from a system call, with EINTR.
#pragma once

#include <sys/types.h>

namespace gmem {

// The signal that does it: one for the whole process, taken at the first use, with a handler that does nothing.
// It is the first real-time signal that nobody handled or ignored by then, so that nobody loses theirs; 0 when there is
// none. It goes to threads of this addon only. Nobody else may install a handler for it later.
int KickSignal();

// Sends the signal to one thread, again and again until told to stop: one that arrives before the thread has entered
// the system call changes nothing. KVM_RUN would need only one, since it looks at kvm_run.immediate_exit on its way in.
// A timer does it, whose signal is set aside when it is made: RLIMIT_SIGPENDING cannot keep it back later.
class Kick {
 public:
  Kick() = default;
  Kick(const Kick&) = delete;
  Kick& operator=(const Kick&) = delete;
  ~Kick();

  // False when the kernel has no timer left, or no signal is free.
  bool Aim(pid_t thread);
  void Start();
  // Called by the thread itself, it leaves no signal pending: the system call it makes delivers them.
  void Stop();

 private:
  static constexpr int kNoTimer = -1;
  int timer_ = kNoTimer;
  pid_t thread_ = 0;
  bool started_ = false;
};

}  // namespace gmem
