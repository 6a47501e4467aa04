#include "state.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace gmem {

State::~State() {
  CloseScratches();
  for (const auto& [address, length] : mappings_) munmap(reinterpret_cast<void*>(address), length);
  for (const int fd : fds_) close(fd);
}

void State::AddFd(int fd) {
  const std::lock_guard lock(mutex_);
  fds_.insert(fd);
}

void State::RemoveFd(int fd) {
  const std::lock_guard lock(mutex_);
  fds_.erase(fd);
}

void State::AddMapping(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  mappings_[address] = length;
}

bool State::RemoveMapping(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  const auto found = mappings_.find(address);
  if (found == mappings_.end() || found->second != length) return false;
  mappings_.erase(found);
  return true;
}

bool State::IsMapped(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  auto next = mappings_.upper_bound(address);
  if (next == mappings_.begin()) return false;
  const auto& [start, mapped] = *--next;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t usable = (mapped + page - 1) / page * page;
  const size_t inside = address - start;
  return inside <= usable && length <= usable - inside;
}

int State::TakeScratch() {
  {
    const std::lock_guard lock(mutex_);
    if (!scratches_.empty()) {
      const int fd = scratches_.back();
      scratches_.pop_back();
      return fd;
    }
  }
  const int fd = memfd_create("guest-memfd-scratch", MFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

void State::PutScratch(int fd) {
  const std::lock_guard lock(mutex_);
  scratches_.push_back(fd);
}

void State::CloseScratches() {
  const std::lock_guard lock(mutex_);
  for (const int fd : scratches_) close(fd);
  scratches_.clear();
}

}  // namespace gmem
