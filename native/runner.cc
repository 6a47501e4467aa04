#include "runner.h"

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "copy.h"
#include "signals.h"

namespace gmem {

namespace {

void Unblock(int signal) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  sigprocmask(SIG_UNBLOCK, &one, nullptr);
}

void NameThread(int fd) {
  char name[16];
  std::snprintf(name, sizeof name, "gmem-fd-%d", fd);
  prctl(PR_SET_NAME, name);
}

}  // namespace

std::unique_ptr<Runner> Runner::Make(State* state, int fd, Report report) {
  std::unique_ptr<Runner> runner(new Runner(state, fd, std::move(report)));
  return runner->Spawn() ? std::move(runner) : nullptr;
}

bool Runner::Spawn() {
  try {
    const AllSignalsBlocked blocked;
    thread_ = std::thread(&Runner::Main, this);
  } catch (const std::system_error&) {
    return false;
  }
  std::unique_lock lock(mutex_);
  while (!ready_) Wait(&lock);
  return able_;
}

Runner::~Runner() {
  if (!thread_.joinable()) return;
  Interrupt();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    pthread_cond_broadcast(&changed_);
  }
  thread_.join();
}

bool Runner::Start(Job* job) {
  const std::lock_guard lock(mutex_);
  if (job_ != nullptr) return false;
  job_ = job;
  running_ = true;
  pthread_cond_broadcast(&changed_);
  return true;
}

void Runner::Finish(const Job* job) {
  const std::lock_guard lock(mutex_);
  if (job_ == job) job_ = nullptr;
}

void Runner::Interrupt() {
  const std::lock_guard lock(mutex_);
  if (job_ == nullptr) return;
  // Before the signal: KVM_RUN looks at the flag on its way in and at signals from there on, so one of the two reaches
  // it. Memory that cannot be written is no harm either, since the signal is sent again.
  const uint8_t one = 1;
  Copy(state_, reinterpret_cast<void*>(job_->flag), &one, sizeof one);
  if (running_) kick_.Start();
}

void Runner::Main() {
  NameThread(fd_);
  std::unique_lock lock(mutex_);
  able_ = kick_.Aim(static_cast<pid_t>(syscall(SYS_gettid)));
  if (able_) Unblock(KickSignal());
  ready_ = true;
  pthread_cond_broadcast(&changed_);
  while (able_) {
    while (!running_ && !ending_) Wait(&lock);
    // A job that was there before the end is made: it has been interrupted.
    if (!running_) return;
    RunJob(&lock);
  }
}

void Runner::RunJob(std::unique_lock<std::mutex>* lock) {
  Job* const job = job_;
  lock->unlock();
  const int result = ioctl(job->fd, job->request, 0);
  job->result = result < 0 ? -errno : result;
  lock->lock();
  running_ = false;
  kick_.Stop();
  lock->unlock();
  report_(job);
  lock->lock();
}

}  // namespace gmem
