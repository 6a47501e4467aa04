#include "state.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace gmem {

namespace {

// The rest of a mapping's last page can be used, too.
size_t Usable(size_t mapped) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (mapped + page - 1) / page * page;
}

}  // namespace

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
  {
    const std::lock_guard lock(mutex_);
    fds_.erase(fd);
  }
  if (on_close_) on_close_(fd);
}

void State::AddMapping(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  mappings_[address] = length;
}

bool State::RemoveMapping(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  const auto found = mappings_.find(address);
  if (found == mappings_.end() || found->second != length) return false;
  const auto pin = pins_.lower_bound(address);
  if (pin != pins_.end() && *pin - address < Usable(length)) return false;
  mappings_.erase(found);
  return true;
}

bool State::IsMapped(uintptr_t address, size_t length) {
  const std::lock_guard lock(mutex_);
  return Contains(address, length);
}

bool State::Pin(uintptr_t address) {
  const std::lock_guard lock(mutex_);
  if (!Contains(address, 1)) return false;
  pins_.insert(address);
  return true;
}

void State::Unpin(uintptr_t address) {
  const std::lock_guard lock(mutex_);
  const auto pin = pins_.find(address);
  if (pin != pins_.end()) pins_.erase(pin);
}

bool State::Contains(uintptr_t address, size_t length) const {
  auto next = mappings_.upper_bound(address);
  if (next == mappings_.begin()) return false;
  const auto& [start, mapped] = *--next;
  const size_t usable = Usable(mapped);
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
