// Timers and thread ids go by system call: the C library's functions would need a newer one than Node does.
#include "kick.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <mutex>

// glibc's <signal.h> does not tell the field's name from sigevent(3).
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace gmem {

namespace {

constexpr long kIntervalNanoseconds = 1'000'000;

void OnKick(int) {}

bool Take(int signal) {
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL) return false;
  // Without SA_RESTART, or the kernel would go on with the call.
  struct sigaction kick = {};
  kick.sa_handler = OnKick;
  return sigaction(signal, &kick, nullptr) == 0;
}

void SetTimer(int timer, long nanoseconds) {
  const itimerspec when = {{0, nanoseconds}, {0, nanoseconds}};
  syscall(SYS_timer_settime, timer, 0, &when, nullptr);
}

}  // namespace

int KickSignal() {
  static std::mutex mutex;
  static int taken = 0;
  const std::lock_guard lock(mutex);
  for (int signal = SIGRTMIN; taken == 0 && signal <= SIGRTMAX; signal++) {
    if (Take(signal)) taken = signal;
  }
  return taken;
}

Kick::~Kick() {
  if (timer_ != kNoTimer) syscall(SYS_timer_delete, timer_);
}

bool Kick::Aim(pid_t thread) {
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = KickSignal();
  event.sigev_notify_thread_id = thread;
  int timer;
  if (event.sigev_signo == 0 || syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0) return false;
  timer_ = timer;
  thread_ = thread;
  return true;
}

void Kick::Start() {
  if (started_) return;
  started_ = true;
  // The first at once, which is faster than a timer can be.
  syscall(SYS_tgkill, getpid(), thread_, KickSignal());
  SetTimer(timer_, kIntervalNanoseconds);
}

void Kick::Stop() {
  if (started_) SetTimer(timer_, 0);
  started_ = false;
}

}  // namespace gmem
