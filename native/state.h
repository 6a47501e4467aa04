// What one JavaScript thread owns here: fds, mappings, scratch files. No globals, so that threads do not meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_set>
#include <utility>
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
  // Is told of every fd that is removed, which is about to be closed. Set while no calls are in flight.
  void WatchCloses(std::function<void(int fd)> watcher) { on_close_ = std::move(watcher); }

  void AddMapping(uintptr_t address, size_t length);
  // False unless exactly this mapping was there, and without a pin.
  bool RemoveMapping(uintptr_t address, size_t length);
  // Whether the range lies in one live mapping, the rest of its last page included.
  bool IsMapped(uintptr_t address, size_t length);
  // Keeps the mapping that has this byte until Unpin, which is called as often; false when there is none.
  bool Pin(uintptr_t address);
  void Unpin(uintptr_t address);

  // A memfd for one thread's use until it is put back; -errno when there is none to be had.
  int TakeScratch();
  void PutScratch(int fd);
  void CloseScratches();

 private:
  bool Contains(uintptr_t address, size_t length) const;

  std::mutex mutex_;
  std::unordered_set<int> fds_;
  std::map<uintptr_t, size_t> mappings_;
  std::multiset<uintptr_t> pins_;
  std::vector<int> scratches_;
  std::function<void(int fd)> on_close_;
};

}  // namespace gmem
