// What one JavaScript thread owns here: fds, mappings, scratch files. No globals, so that threads do not meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace gmem {

class State {
 public:
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  // Runs when the thread's environment ends; Node has waited for the calls in flight by then.
  ~State();

  void AddFd(int fd);
  void RemoveFd(int fd);

  void AddMapping(uintptr_t address, size_t length);
  // False unless exactly this mapping was there.
  bool RemoveMapping(uintptr_t address, size_t length);
  // Whether the range lies in one live mapping, the rest of its last page included.
  bool IsMapped(uintptr_t address, size_t length);

  // A memfd for one thread's use until it is put back; -errno when there is none to be had.
  int TakeScratch();
  void PutScratch(int fd);
  void CloseScratches();

 private:
  std::mutex mutex_;
  std::unordered_set<int> fds_;
  std::map<uintptr_t, size_t> mappings_;
  std::vector<int> scratches_;
};

}  // namespace gmem
