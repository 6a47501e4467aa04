#include "racer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "copy.h"
#include "execute.h"

namespace gmem {

namespace {

constexpr int64_t kPartly = 1;
constexpr int64_t kNoWord = -1;
// More kinds of answers than this, and words are no longer told apart.
constexpr size_t kManyTallies = 4096;
// In the flags of a copyOut.
constexpr uint32_t kZeroWillDo = 1;

// Where in its struct a racing ioctl's word and fd are; negative when it has none.
int64_t WordAt(const Record& record) { return static_cast<int64_t>(record.number); }
int64_t FdAt(const Record& record) { return record.length; }

int64_t Outcome(const Op& op) { return op.refused ? -EFAULT : static_cast<int64_t>(op.result); }

Op MakeOp(Call call, int fd) {
  Op op = {};
  op.record.call = call;
  op.record.fd = fd;
  return op;
}

}  // namespace

Racer::Racer(State* state, std::vector<Op> ops, std::vector<std::vector<uint8_t>> buffers) : state_(state) {
  steps_.reserve(ops.size());
  for (size_t i = 0; i < ops.size(); i++) {
    Step& step = steps_.emplace_back(Step{std::move(ops[i]), std::move(buffers[i])});
    if (step.op.own == nullptr) step.op.bytes = {step.bytes.data(), step.bytes.size()};
  }
}

void Racer::Run(Clock::time_point end, uint64_t steps, std::atomic<bool>* stop) {
  for (size_t next = 0; made_ < steps && !*stop; next = (next + 1) % steps_.size()) {
    Make(next);
    made_++;
    if (lost_) *stop = true;
    // After the step: a thread that got no CPU before the time was up makes one.
    if (Clock::now() >= end) return;
  }
}

void Racer::Make(size_t index) {
  Step* const step = &steps_[index];
  step->op.refused = false;
  switch (step->op.record.call) {
    case Call::ioctl:
    case Call::ioctlFd:
      if (!MakeIoctl(step)) return;
      break;
    case Call::close:
      if (held_ < 0) return;
      Drop();
      step->op.result = 0;
      break;
    case Call::mmap:
      MakeMapping(step);
      break;
    case Call::copyIn:
      MakeCopyIn(step);
      break;
    case Call::copyOut:
      MakeCopyOut(index, step);
      break;
    default:
      Execute(state_, &step->op);
  }
  Count(index, *step);
}

// False when the fd that it needs is not there.
bool Racer::MakeIoctl(Step* step) {
  Op* const op = &step->op;
  op->own->bytes = step->bytes;
  if (FdAt(op->record) >= 0) {
    if (held_ < 0) return false;
    std::memcpy(op->own->bytes.data() + FdAt(op->record), &held_, sizeof held_);
  }
  Execute(state_, op);
  if (op->record.call == Call::ioctlFd && op->result >= 0) {
    Drop();
    held_ = static_cast<int>(op->result);
  }
  return true;
}

// Maps, reads the first byte of every page, unmaps.
void Racer::MakeMapping(Step* step) {
  Op* const op = &step->op;
  Execute(state_, op);
  if (op->result < 0) return;
  Op unmap = MakeOp(Call::munmap, -1);
  unmap.record.offset = static_cast<int64_t>(op->result);
  unmap.record.number = op->record.number;
  const auto* const first = reinterpret_cast<const char*>(unmap.record.offset);
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  bool partly = false;
  for (size_t at = 0; at < static_cast<size_t>(op->record.number); at += page) {
    char byte;
    partly = Copy(state_, &byte, first + at, sizeof byte) < 0 || partly;
  }
  Execute(state_, &unmap);
  op->result = unmap.result < 0 ? unmap.result : partly ? kPartly : 0;
}

void Racer::MakeCopyIn(Step* step) {
  Execute(state_, &step->op);
  const int64_t copied = Outcome(step->op);
  if (copied <= 0) return;
  std::vector<uint8_t>& known = memory_[static_cast<uintptr_t>(step->op.record.offset)];
  known.resize(std::max(known.size(), static_cast<size_t>(copied)));
  std::memcpy(known.data(), step->bytes.data(), static_cast<size_t>(copied));
}

void Racer::MakeCopyOut(size_t index, Step* step) {
  Execute(state_, &step->op);
  const int64_t copied = Outcome(step->op);
  if (copied > 0) Compare(index, *step, static_cast<size_t>(copied));
}

// What is found is known from then on: a page that reads 0 after a hole was punched goes on doing so.
void Racer::Compare(size_t index, const Step& step, size_t found) {
  std::vector<uint8_t>& known = memory_[static_cast<uintptr_t>(step.op.record.offset)];
  const bool zero_will_do = step.op.record.flags & kZeroWillDo;
  const size_t both = std::min(found, known.size());
  for (size_t at = 0; at < both; at++) {
    const uint8_t byte = step.bytes[at];
    if (byte == known[at] || (zero_will_do && byte == 0)) continue;
    lost_ = Lost{index, at, known[at], byte};
    return;
  }
  known.resize(std::max(known.size(), found));
  std::memcpy(known.data(), step.bytes.data(), found);
}

void Racer::Count(size_t index, const Step& step) {
  int64_t outcome = Outcome(step.op);
  if (outcome > 0) {
    const Call call = step.op.record.call;
    const bool copy = call == Call::copyIn || call == Call::copyOut;
    const bool partly = copy ? outcome < static_cast<int64_t>(step.bytes.size()) : call == Call::mmap;
    outcome = partly ? kPartly : 0;
  }
  tallies_[{index, outcome, outcome < 0 ? WordOf(step) : kNoWord}]++;
}

int64_t Racer::WordOf(const Step& step) const {
  const Op& op = step.op;
  if (op.own == nullptr || WordAt(op.record) < 0 || tallies_.size() >= kManyTallies) return kNoWord;
  int64_t word;
  std::memcpy(&word, op.own->bytes.data() + WordAt(op.record), sizeof word);
  return word;
}

void Racer::Drop() {
  if (held_ < 0) return;
  Op op = MakeOp(Call::close, held_);
  held_ = -1;
  Execute(state_, &op);
}

}  // namespace gmem
