#include "batch.h"

#include <memory>

#include "execute.h"
#include "op.h"
#include "state.h"
#include "value.h"

namespace gmem {

namespace {

struct Batch {
  State* state;
  std::vector<Op> ops;
  napi_async_work work = nullptr;
  // The references keep records and buffers alive until the kernel is done with them.
  napi_ref records = nullptr;
  napi_ref buffers = nullptr;
  napi_ref done = nullptr;
};

void ExecuteAll(State* state, std::vector<Op>* ops) {
  for (Op& op : *ops) Execute(state, &op);
}

void OnPool(napi_env, void* data) {
  Batch* batch = static_cast<Batch*>(data);
  ExecuteAll(batch->state, &batch->ops);
}

napi_value Held(napi_env env, napi_ref reference) {
  napi_value value = nullptr;
  napi_get_reference_value(env, reference, &value);
  return value;
}

void Release(napi_env env, Batch* batch) {
  for (napi_ref reference : {batch->records, batch->buffers, batch->done}) {
    if (reference != nullptr) napi_delete_reference(env, reference);
  }
  if (batch->work != nullptr) napi_delete_async_work(env, batch->work);
  delete batch;
}

// Runs on the JavaScript thread, also while a terminated worker winds down: then every call into JavaScript fails, and
// nobody is left to be told.
void OnDone(napi_env env, napi_status, void* data) {
  Batch* batch = static_cast<Batch*>(data);
  Deliver(env, Held(env, batch->records), Held(env, batch->buffers), &batch->ops);
  napi_value receiver;
  if (napi_get_undefined(env, &receiver) == napi_ok) {
    napi_call_function(env, receiver, Held(env, batch->done), 0, nullptr, nullptr);
  }
  Release(env, batch);
}

bool Queue(napi_env env, Batch* batch, napi_value records, napi_value buffers, napi_value done) {
  napi_value name;
  return napi_create_reference(env, records, 1, &batch->records) == napi_ok &&
         napi_create_reference(env, buffers, 1, &batch->buffers) == napi_ok &&
         napi_create_reference(env, done, 1, &batch->done) == napi_ok &&
         napi_create_string_utf8(env, "guest-memfd", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_create_async_work(env, nullptr, name, OnPool, OnDone, batch, &batch->work) == napi_ok &&
         napi_queue_async_work(env, batch->work) == napi_ok;
}

}  // namespace

napi_value Run(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  void* data;
  std::vector<Op> ops;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  if (!Decode(env, argv[0], argv[1], argv[2], &ops)) return nullptr;
  ExecuteAll(static_cast<State*>(data), &ops);
  Deliver(env, argv[0], argv[2], &ops);
  return nullptr;
}

napi_value Submit(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  void* data;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  napi_valuetype type;
  if (napi_typeof(env, argv[3], &type) != napi_ok || type != napi_function) {
    ThrowType(env, "done must be a function");
    return nullptr;
  }
  auto batch = std::make_unique<Batch>(Batch{static_cast<State*>(data), {}});
  if (!Decode(env, argv[0], argv[1], argv[2], &batch->ops)) return nullptr;
  Batch* const queued = batch.release();
  if (!Queue(env, queued, argv[0], argv[2], argv[3])) {
    Release(env, queued);
    napi_throw_error(env, "ERR_OPERATION_FAILED", "the calls could not be handed to the thread pool");
  }
  return nullptr;
}

}  // namespace gmem
