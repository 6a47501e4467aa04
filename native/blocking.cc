#include "blocking.h"

#include <linux/ioctl.h>

#include <cstdint>
#include <memory>

#include "value.h"

namespace gmem {

namespace {

bool Fail(napi_env env, const char* code, const char* message) {
  napi_throw_error(env, code, message);
  return false;
}

bool GetAddress(napi_env env, napi_value value, uintptr_t* address) {
  uint64_t bits;
  bool lossless;
  if (napi_get_value_bigint_uint64(env, value, &bits, &lossless) != napi_ok) {
    return ThrowType(env, "flag must be a bigint");
  }
  *address = static_cast<uintptr_t>(bits);
  return lossless || ThrowRange(env, "flag must be an address");
}

bool GetJob(napi_env env, const napi_value* argv, Job* job) {
  uint32_t fd;
  napi_valuetype type;
  if (!GetU32(env, argv[0], INT32_MAX, &fd) || !GetU32(env, argv[1], UINT32_MAX, &job->request)) return false;
  job->fd = static_cast<int>(fd);
  // The argument is 0, which is where no struct can be.
  if (_IOC_SIZE(job->request) != 0) return ThrowRange(env, "request must be one without a struct");
  if (!GetAddress(env, argv[2], &job->flag)) return false;
  return (napi_typeof(env, argv[3], &type) == napi_ok && type == napi_function) ||
         ThrowType(env, "done must be a function");
}

}  // namespace

Blocking::Blocking(napi_env env, State* state) : env_(env), state_(state) {
  state->WatchCloses([this](int fd) { End(fd); });
}

// Node has marked the queue as closing by now, so what the threads still report stays here.
Blocking::~Blocking() {
  state_->WatchCloses(nullptr);
  runners_.clear();
  for (Pending* pending : pending_) {
    napi_delete_reference(env_, pending->done);
    delete pending;
  }
  if (queue_ != nullptr) napi_release_threadsafe_function(queue_, napi_tsfn_release);
}

napi_value Blocking::Ioctl(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  void* data;
  Job job = {};
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  if (GetJob(env, argv, &job)) static_cast<Blocking*>(data)->Begin(job, argv[3]);
  return nullptr;
}

napi_value Blocking::Interrupt(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  void* data;
  uint32_t fd;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  if (!GetU32(env, argv[0], INT32_MAX, &fd)) return nullptr;
  Blocking* const self = static_cast<Blocking*>(data);
  const std::lock_guard lock(self->mutex_);
  const auto found = self->runners_.find(static_cast<int>(fd));
  if (found != self->runners_.end()) found->second->Interrupt();
  return nullptr;
}

bool Blocking::Begin(const Job& job, napi_value done) {
  if (!OpenQueue()) return Fail(env_, "ERR_OPERATION_FAILED", "the queue for answers could not be made");
  if (!state_->Pin(job.flag)) return ThrowRange(env_, "flag must lie in a mapping made here and not yet unmapped");
  auto pending = std::make_unique<Pending>(Pending{job, nullptr});
  if (napi_create_reference(env_, done, 1, &pending->done) == napi_ok && HandOver(pending.get())) {
    if (pending_.empty()) napi_ref_threadsafe_function(env_, queue_);
    pending_.insert(pending.release());
    return true;
  }
  if (pending->done != nullptr) napi_delete_reference(env_, pending->done);
  state_->Unpin(job.flag);
  return false;
}

bool Blocking::HandOver(Pending* pending) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Runner>& runner = runners_[pending->fd];
  if (runner == nullptr) {
    runner = Runner::Make(state_, pending->fd, [queue = queue_](Job* job) {
      napi_call_threadsafe_function(queue, job, napi_tsfn_nonblocking);
    });
  }
  if (runner == nullptr) {
    runners_.erase(pending->fd);
    return Fail(env_, "ERR_OPERATION_FAILED", "a blocking call needs a thread, a timer and a free real-time signal, and one cannot be had");
  }
  return runner->Start(pending) || Fail(env_, "ERR_CALLS_IN_FLIGHT", "a blocking call on this fd is in flight");
}

bool Blocking::OpenQueue() {
  if (queue_ != nullptr) return true;
  napi_value name;
  if (napi_create_string_utf8(env_, "guest-memfd", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnReport, &queue_) !=
          napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env_, queue_);
  return true;
}

void Blocking::End(int fd) {
  // Outlives the lock: its end waits for its thread.
  std::unique_ptr<Runner> runner;
  const std::lock_guard lock(mutex_);
  const auto found = runners_.find(fd);
  if (found == runners_.end()) return;
  runner = std::move(found->second);
  runners_.erase(found);
}

void Blocking::OnReport(napi_env env, napi_value, void* context, void* data) {
  // Without an environment this one is gone, and with it the job.
  if (env != nullptr) static_cast<Blocking*>(context)->Deliver(static_cast<Pending*>(static_cast<Job*>(data)));
}

void Blocking::Deliver(Pending* pending) {
  napi_value done = nullptr;
  napi_value result = nullptr;
  napi_value receiver = nullptr;
  // Any of these fails in a worker that is being terminated, where nobody is left to be told.
  const bool told = napi_get_reference_value(env_, pending->done, &done) == napi_ok &&
                    napi_create_int32(env_, pending->result, &result) == napi_ok &&
                    napi_get_undefined(env_, &receiver) == napi_ok;
  Discard(pending);
  if (told) napi_call_function(env_, receiver, done, 1, &result, nullptr);
}

void Blocking::Discard(Pending* pending) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = runners_.find(pending->fd);
    if (found != runners_.end()) found->second->Finish(pending);
  }
  state_->Unpin(pending->flag);
  napi_delete_reference(env_, pending->done);
  pending_.erase(pending);
  if (pending_.empty()) napi_unref_threadsafe_function(env_, queue_);
  delete pending;
}

}  // namespace gmem
