// One program of a race: a thread makes its calls over and over, and counts what they answer.
#pragma once

#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "op.h"
#include "state.h"

namespace gmem {

// A kind of answer to a step. lib/syscalls/race.ts says what the numbers mean.
struct Tally {
  size_t step;
  int64_t outcome;
  int64_t word;
  auto operator<=>(const Tally&) const = default;
};

// A byte that is not what its only writer put there.
struct Lost {
  size_t step;
  size_t at;
  uint8_t wanted;
  uint8_t found;
};

class Racer {
 public:
  using Clock = std::chrono::steady_clock;

  // The ops hold no JavaScript memory any more.
  Racer(State* state, std::vector<Op> ops, std::vector<std::vector<uint8_t>> buffers);
  Racer(const Racer&) = delete;
  Racer& operator=(const Racer&) = delete;
  ~Racer() { Drop(); }

  // Makes the calls until the time is up, or as many steps were made, or `stop` is set; sets it when a byte is lost.
  void Run(Clock::time_point end, uint64_t steps, std::atomic<bool>* stop);

  uint64_t made() const { return made_; }
  const std::map<Tally, uint64_t>& tallies() const { return tallies_; }
  // What must be at each address that was copied to or from.
  const std::map<uintptr_t, std::vector<uint8_t>>& memory() const { return memory_; }
  const std::optional<Lost>& lost() const { return lost_; }

 private:
  struct Step {
    Op op;
    // The struct as it was given, what is copied in, or room for what is copied out.
    std::vector<uint8_t> bytes;
  };

  void Make(size_t index);
  bool MakeIoctl(Step* step);
  void MakeMapping(Step* step);
  void MakeCopyIn(Step* step);
  void MakeCopyOut(size_t index, Step* step);
  void Compare(size_t index, const Step& step, size_t found);
  void Count(size_t index, const Step& step);
  int64_t WordOf(const Step& step) const;
  void Drop();

  State* const state_;
  std::vector<Step> steps_;
  uint64_t made_ = 0;
  // The fd that the program's last ioctlFd made; no other thread knows it.
  int held_ = -1;
  std::map<Tally, uint64_t> tallies_;
  std::map<uintptr_t, std::vector<uint8_t>> memory_;
  std::optional<Lost> lost_;
};

}  // namespace gmem
