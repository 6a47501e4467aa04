// The races of one JavaScript thread.
#pragma once

#include <node_api.h>

#include <memory>
#include <unordered_set>

#include "race.h"
#include "state.h"

namespace gmem {

class Races {
 public:
  Races(napi_env env, State* state) : env_(env), state_(state) {}
  Races(const Races&) = delete;
  Races& operator=(const Races&) = delete;
  // Runs when the thread's environment ends: races under way are stopped and waited for.
  ~Races();

  // race(programs, milliseconds, steps, done): runs them, then calls done(results).
  static napi_value Start(napi_env env, napi_callback_info info);

 private:
  struct Entry {
    std::unique_ptr<Race> race;
    napi_threadsafe_function queue = nullptr;
    napi_ref done = nullptr;
  };

  bool Begin(napi_value* argv);
  bool OpenQueue(Entry* entry);
  static void OnOver(napi_env env, napi_value, void* context, void* data);
  void Deliver(Entry* entry);
  void Discard(Entry* entry);

  const napi_env env_;
  State* const state_;
  std::unordered_set<Entry*> entries_;
};

}  // namespace gmem
