// One race: programs that run at the same time, each on a thread of its own.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "racer.h"
#include "state.h"

namespace gmem {

class Race {
 public:
  // Runs on the last thread to end, unless the race was ended.
  using Report = std::function<void()>;

  Race(State* state, Report report) : state_(state), report_(std::move(report)) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;
  ~Race();

  // Adds a program: records, their count, and buffers, as Decode takes them. What it copies to and from stays mapped
  // until the race is gone. On false a TypeError or RangeError is pending.
  bool Add(napi_env env, napi_value program);
  // False when there are not enough threads; those that were made are gone again.
  bool Run(double milliseconds, double steps);
  // Stops the threads and waits for them.
  void End();

  const std::vector<std::unique_ptr<Racer>>& racers() const { return racers_; }

 private:
  void Main(size_t index, Racer::Clock::time_point end, uint64_t steps);

  State* const state_;
  const Report report_;
  std::vector<std::unique_ptr<Racer>> racers_;
  std::vector<uintptr_t> pins_;
  std::vector<std::thread> threads_;
  std::atomic<bool> go_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<size_t> running_ = 0;
};

}  // namespace gmem
