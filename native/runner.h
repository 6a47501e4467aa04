// A thread that makes one ioctl at a time, each of which may block without bound.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "kick.h"
#include "state.h"

namespace gmem {

struct Job {
  int fd;
  uint32_t request;
  // The byte that tells the kernel not to block, in a mapping that State keeps.
  uintptr_t flag;
  // >= 0, or -errno.
  int result;
};

class Runner {
 public:
  // Runs on the thread, when the ioctl has come back.
  using Report = std::function<void(Job*)>;

  // Null where there is no thread to be had, or nothing to interrupt it with.
  static std::unique_ptr<Runner> Make(State* state, int fd, Report report);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  // Interrupts the ioctl, waits for it and ends the thread.
  ~Runner();

  // False while it has a job.
  bool Start(Job* job);
  // The job that was reported is done with; another one is left alone.
  void Finish(const Job* job);
  // Sets the job's flag, and makes the ioctl come back if it has not.
  void Interrupt();

 private:
  Runner(State* state, int fd, Report report) : state_(state), fd_(fd), report_(std::move(report)) {}
  bool Spawn();
  void Main();
  void RunJob(std::unique_lock<std::mutex>* lock);
  void Wait(std::unique_lock<std::mutex>* lock) { pthread_cond_wait(&changed_, lock->mutex()->native_handle()); }

  State* const state_;
  const int fd_;
  const Report report_;
  std::thread thread_;

  std::mutex mutex_;
  // std::condition_variable would need a newer C++ library than the rest of the addon does.
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
  bool ready_ = false;
  // To be interrupted, once it is ready.
  bool able_ = false;
  Job* job_ = nullptr;
  bool running_ = false;
  bool ending_ = false;
  Kick kick_;
};

}  // namespace gmem
