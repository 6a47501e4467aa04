// ioctls that may block without bound, such as KVM_RUN. Each fd that makes them has a thread of its own, which lives
// until the fd is closed: KVM waits for all CPUs (synchronize_rcu) whenever another thread runs a vCPU than before.
#pragma once

#include <node_api.h>

#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "runner.h"
#include "state.h"

namespace gmem {

class Blocking {
 public:
  Blocking(napi_env env, State* state);
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
  // Runs when the thread's environment ends: what still blocks is interrupted and waited for.
  ~Blocking();

  // ioctlBlocking(fd, request, flag, done): makes it, with the argument 0, then calls done(result).
  static napi_value Ioctl(napi_env env, napi_callback_info info);
  // interrupt(fd): sets the flag of the fd's ioctl, and makes it come back with EINTR.
  static napi_value Interrupt(napi_env env, napi_callback_info info);

 private:
  struct Pending : Job {
    napi_ref done;
  };

  bool Begin(const Job& job, napi_value done);
  bool HandOver(Pending* pending);
  bool OpenQueue();
  // Any thread: the fd is about to be closed.
  void End(int fd);
  static void OnReport(napi_env env, napi_value, void* context, void* data);
  void Deliver(Pending* pending);
  void Discard(Pending* pending);

  const napi_env env_;
  State* const state_;
  // Carries what the threads report to the JavaScript thread. Keeps its loop alive while there are jobs.
  napi_threadsafe_function queue_ = nullptr;
  std::unordered_set<Pending*> pending_;

  std::mutex mutex_;
  std::unordered_map<int, std::unique_ptr<Runner>> runners_;
};

}  // namespace gmem
