#include "race.h"

#include <sched.h>
#include <sys/prctl.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <system_error>

#include "op.h"
#include "signals.h"
#include "value.h"

namespace gmem {

namespace {

bool IsRaceCall(Call call) {
  switch (call) {
    case Call::ioctl:
    case Call::ioctlFd:
    case Call::close:
    case Call::fallocate:
    case Call::mmap:
    case Call::copyIn:
    case Call::copyOut:
      return true;
    default:
      return false;
  }
}

bool IsCopy(const Op& op) { return op.record.call == Call::copyIn || op.record.call == Call::copyOut; }

// Offsets are -1 for "none", or leave room for what is read or written there.
bool IsPlace(double at, size_t room, size_t size) {
  return at == -1 || (at >= 0 && std::floor(at) == at && size >= room && at <= static_cast<double>(size - room));
}

// What a thread may do again and again without a look at JavaScript's memory.
bool IsSafe(State* state, const Op& op) {
  if (op.refused || !IsRaceCall(op.record.call)) return false;
  if (IsCopy(op)) return state->IsMapped(static_cast<uintptr_t>(op.record.offset), op.bytes.size);
  if (op.record.call != Call::ioctl && op.record.call != Call::ioctlFd) return true;
  if (op.own == nullptr || !op.own->fixups.empty()) return false;
  const size_t size = op.own->bytes.size();
  return IsPlace(op.record.number, sizeof(uint64_t), size) &&
         IsPlace(static_cast<double>(op.record.length), sizeof(int), size);
}

std::vector<uint8_t> OwnBytes(const Op& op) {
  if (op.own != nullptr) return op.own->bytes;
  return op.bytes.size == 0 ? std::vector<uint8_t>() : std::vector<uint8_t>(op.bytes.data, op.bytes.data + op.bytes.size);
}

bool DecodeProgram(napi_env env, napi_value program, std::vector<Op>* ops) {
  napi_value parts[3];
  bool is_array = false;
  if (napi_is_array(env, program, &is_array) != napi_ok || !is_array) return ThrowType(env, "a program must be an array");
  for (uint32_t i = 0; i < 3; i++) {
    if (napi_get_element(env, program, i, &parts[i]) != napi_ok) return false;
  }
  return Decode(env, parts[0], parts[1], parts[2], ops);
}

}  // namespace

Race::~Race() {
  End();
  for (const uintptr_t pin : pins_) state_->Unpin(pin);
}

bool Race::Add(napi_env env, napi_value program) {
  std::vector<Op> ops;
  if (!DecodeProgram(env, program, &ops)) return false;
  std::vector<std::vector<uint8_t>> buffers;
  for (Op& op : ops) {
    if (!IsSafe(state_, op)) return ThrowRange(env, "a step of a race is one of its calls, in memory and fds that are there");
    buffers.push_back(OwnBytes(op));
    if (!IsCopy(op)) continue;
    const uintptr_t address = static_cast<uintptr_t>(op.record.offset);
    if (!state_->Pin(address)) return ThrowRange(env, "a copy must lie in a mapping made here and not yet unmapped");
    pins_.push_back(address);
  }
  racers_.push_back(std::make_unique<Racer>(state_, std::move(ops), std::move(buffers)));
  return true;
}

bool Race::Run(double milliseconds, double steps) {
  const auto end = Racer::Clock::now() + std::chrono::microseconds(static_cast<int64_t>(milliseconds * 1000));
  running_ = racers_.size();
  try {
    const AllSignalsBlocked blocked;
    for (size_t i = 0; i < racers_.size(); i++) {
      threads_.emplace_back(&Race::Main, this, i, end, static_cast<uint64_t>(steps));
    }
  } catch (const std::system_error&) {
    running_ = SIZE_MAX;  // nobody reports
    End();
    return false;
  }
  go_ = true;
  return true;
}

void Race::End() {
  stop_ = true;
  go_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Race::Main(size_t index, Racer::Clock::time_point end, uint64_t steps) {
  char name[16];
  std::snprintf(name, sizeof name, "gmem-race-%zu", index);
  prctl(PR_SET_NAME, name);
  while (!go_) sched_yield();
  racers_[index]->Run(end, steps, &stop_);
  if (--running_ == 0) report_();
}

}  // namespace gmem
