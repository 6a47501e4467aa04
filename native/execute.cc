#include "execute.h"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "copy.h"

namespace gmem {

namespace {

constexpr mode_t kPrivateFile = 0600;

double Answer(int64_t result) { return static_cast<double>(result < 0 ? -errno : result); }

void* Address(const Record& record) { return reinterpret_cast<void*>(record.offset); }

bool IsMapped(State* state, const Record& record, size_t length) {
  return state->IsMapped(static_cast<uintptr_t>(record.offset), length);
}

double NewFd(State* state, int fd) {
  if (fd >= 0) state->AddFd(fd);
  return Answer(fd);
}

void Ioctl(State* state, Op* op) {
  const Record& record = op->record;
  unsigned long argument = static_cast<unsigned long>(record.number);
  if (record.flags & kArgumentIsAddress) {
    if (!IsMapped(state, record, _IOC_SIZE(record.request))) {
      op->refused = true;
      return;
    }
    argument = static_cast<unsigned long>(record.offset);
  } else if (op->own != nullptr) {
    uint8_t* const bytes = op->own->bytes.data();
    for (const Fixup& fixup : op->own->fixups) std::memcpy(bytes + fixup.at, &fixup.to.data, sizeof(uint64_t));
    argument = reinterpret_cast<unsigned long>(bytes);
  }
  const int result = ioctl(record.fd, record.request, argument);
  op->result = Answer(result);
  if (record.call == Call::ioctlFd && result >= 0) {
    fcntl(result, F_SETFD, FD_CLOEXEC);
    state->AddFd(result);
  }
}

void IoctlMany(Op* op) {
  const Record& record = op->record;
  const size_t size = _IOC_SIZE(record.request);
  const size_t step = size > 0 ? size : sizeof(uint64_t);
  const size_t count = op->bytes.size / step;
  int result = 0;
  size_t i = 0;
  for (; i < count && result >= 0; i++) {
    uint8_t* at = op->bytes.data + i * step;
    unsigned long argument = reinterpret_cast<unsigned long>(at);
    if (size == 0) {
      std::memcpy(&argument, at, sizeof argument);
      if (!IsPlain(record.request, static_cast<double>(argument))) {
        op->refused = true;
        return;
      }
    }
    result = ioctl(record.fd, record.request, argument);
  }
  op->completed = static_cast<double>(result < 0 ? i - 1 : i);
  op->result = Answer(result);
}

double Map(State* state, const Record& record) {
  const size_t length = static_cast<size_t>(record.number);
  void* address = mmap(nullptr, length, static_cast<int>(record.request), static_cast<int>(record.flags), record.fd,
                       static_cast<off_t>(record.offset));
  if (address == MAP_FAILED) return -errno;
  state->AddMapping(reinterpret_cast<uintptr_t>(address), length);
  return static_cast<double>(reinterpret_cast<uintptr_t>(address));
}

void Unmap(State* state, Op* op) {
  const uintptr_t address = static_cast<uintptr_t>(op->record.offset);
  const size_t length = static_cast<size_t>(op->record.number);
  // Forgotten first: the moment it is unmapped, another thread may be given the same address.
  op->refused = !state->RemoveMapping(address, length);
  if (op->refused) return;
  op->result = Answer(munmap(reinterpret_cast<void*>(address), length));
  if (op->result < 0) state->AddMapping(address, length);
}

void Advise(State* state, Op* op) {
  const size_t length = static_cast<size_t>(op->record.number);
  op->refused = !IsMapped(state, op->record, length);
  if (op->refused) return;
  op->result = Answer(madvise(Address(op->record), length, static_cast<int>(op->record.flags)));
}

void CopyMapped(State* state, Op* op) {
  op->refused = !IsMapped(state, op->record, op->bytes.size);
  if (op->refused) return;
  void* const mapped = Address(op->record);
  const bool in = op->record.call == Call::copyIn;
  op->result = static_cast<double>(
      Copy(state, in ? mapped : op->bytes.data, in ? op->bytes.data : mapped, op->bytes.size));
}

double CloseFd(State* state, int fd) {
  // Forgotten first: the moment it is closed, another thread may be given the same number.
  state->RemoveFd(fd);
  return Answer(close(fd));
}

}  // namespace

void Execute(State* state, Op* op) {
  if (op->refused) return;
  const Record& record = op->record;
  const int fd = record.fd;
  const int flags = static_cast<int>(record.flags);
  const off_t offset = static_cast<off_t>(record.offset);
  const auto [data, size] = op->bytes;
  const char* text = reinterpret_cast<const char*>(data);
  switch (record.call) {
    case Call::ioctl:
    case Call::ioctlFd:
      return Ioctl(state, op);
    case Call::ioctlMany:
      return IoctlMany(op);
    case Call::open:
      op->result = NewFd(state, open(text, flags | O_CLOEXEC, kPrivateFile));
      return;
    case Call::close:
      op->result = CloseFd(state, fd);
      return;
    case Call::dup:
      op->result = NewFd(state, fcntl(fd, F_DUPFD_CLOEXEC, 0));
      return;
    case Call::memfdCreate:
      op->result = NewFd(state, memfd_create(text, record.flags | MFD_CLOEXEC));
      return;
    case Call::eventfd:
      op->result = NewFd(state, eventfd(record.request, flags | EFD_CLOEXEC));
      return;
    case Call::fstat:
      op->result = Answer(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, reinterpret_cast<struct statx*>(data)));
      return;
    case Call::ftruncate:
      op->result = Answer(ftruncate(fd, record.length));
      return;
    case Call::fallocate:
      op->result = Answer(fallocate(fd, flags, offset, record.length));
      return;
    case Call::read:
      op->result = Answer(read(fd, data, size));
      return;
    case Call::write:
      op->result = Answer(write(fd, data, size));
      return;
    case Call::pread:
      op->result = Answer(pread(fd, data, size, offset));
      return;
    case Call::pwrite:
      op->result = Answer(pwrite(fd, data, size, offset));
      return;
    case Call::mmap:
      op->result = Map(state, record);
      return;
    case Call::munmap:
      return Unmap(state, op);
    case Call::madvise:
      return Advise(state, op);
    case Call::copyIn:
    case Call::copyOut:
      return CopyMapped(state, op);
    case Call::pointer:
      return;  // Decode has joined it to its ioctl
  }
}

}  // namespace gmem
