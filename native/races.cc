#include "races.h"

#include "race_result.h"
#include "value.h"

namespace gmem {

namespace {

constexpr uint32_t kMostPrograms = 256;
constexpr double kMostMilliseconds = 86'400'000;
constexpr double kMostSteps = 9007199254740991;

bool GetLimit(napi_env env, napi_value value, double most, double* limit) {
  if (napi_get_value_double(env, value, limit) != napi_ok) return ThrowType(env, "a limit must be a number");
  return (*limit >= 0 && *limit <= most) || ThrowRange(env, "a limit is out of range");
}

bool Fail(napi_env env, const char* message) {
  napi_throw_error(env, "ERR_OPERATION_FAILED", message);
  return false;
}

}  // namespace

// Node has marked the queues as closing by now, so what the threads still report stays there.
Races::~Races() {
  for (Entry* entry : entries_) {
    entry->race->End();
    Discard(entry);
  }
}

napi_value Races::Start(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  void* data;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) == napi_ok) static_cast<Races*>(data)->Begin(argv);
  return nullptr;
}

bool Races::Begin(napi_value* argv) {
  uint32_t count = 0;
  double milliseconds;
  double steps;
  napi_valuetype type;
  if (napi_get_array_length(env_, argv[0], &count) != napi_ok) return ThrowType(env_, "programs must be an array");
  if (count < 1 || count > kMostPrograms) return ThrowRange(env_, "programs must be from 1 to 256");
  if (!GetLimit(env_, argv[1], kMostMilliseconds, &milliseconds)) return false;
  if (!GetLimit(env_, argv[2], kMostSteps, &steps)) return false;
  if (napi_typeof(env_, argv[3], &type) != napi_ok || type != napi_function) {
    return ThrowType(env_, "done must be a function");
  }
  auto entry = std::make_unique<Entry>();
  entry->race = std::make_unique<Race>(state_, [at = entry.get()] {
    napi_call_threadsafe_function(at->queue, at, napi_tsfn_nonblocking);
  });
  for (uint32_t i = 0; i < count; i++) {
    napi_value program;
    if (napi_get_element(env_, argv[0], i, &program) != napi_ok || !entry->race->Add(env_, program)) return false;
  }
  Entry* const begun = entry.release();
  if (napi_create_reference(env_, argv[3], 1, &begun->done) == napi_ok && OpenQueue(begun)) {
    if (begun->race->Run(milliseconds, steps)) {
      entries_.insert(begun);
      return true;
    }
  }
  Discard(begun);
  return Fail(env_, "a race needs a queue and a thread for each program, and one cannot be had");
}

bool Races::OpenQueue(Entry* entry) {
  napi_value name;
  return napi_create_string_utf8(env_, "guest-memfd", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnOver,
                                         &entry->queue) == napi_ok;
}

void Races::OnOver(napi_env env, napi_value, void* context, void* data) {
  // Without an environment this one is gone, and with it the race.
  if (env != nullptr) static_cast<Races*>(context)->Deliver(static_cast<Entry*>(data));
}

void Races::Deliver(Entry* entry) {
  entry->race->End();
  napi_value done = nullptr;
  napi_value results = nullptr;
  napi_value receiver = nullptr;
  // Any of these fails in a worker that is being terminated, where nobody is left to be told.
  const bool told = napi_get_reference_value(env_, entry->done, &done) == napi_ok &&
                    napi_create_array(env_, &results) == napi_ok && napi_get_undefined(env_, &receiver) == napi_ok;
  if (told) {
    uint32_t next = 0;
    for (const auto& racer : entry->race->racers()) napi_set_element(env_, results, next++, RaceResult(env_, *racer));
  }
  entries_.erase(entry);
  Discard(entry);
  if (told) napi_call_function(env_, receiver, done, 1, &results, nullptr);
}

void Races::Discard(Entry* entry) {
  if (entry->done != nullptr) napi_delete_reference(env_, entry->done);
  if (entry->queue != nullptr) napi_release_threadsafe_function(entry->queue, napi_tsfn_release);
  delete entry;
}

}  // namespace gmem
