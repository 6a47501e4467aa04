// The addon: system calls and threads. It has no policy and knows no struct; see lib/syscalls/ for both.
#include <node_api.h>

#include "batch.h"
#include "blocking.h"
#include "ioctl.h"
#include "layouts.h"
#include "op.h"
#include "races.h"
#include "state.h"

namespace {

// dispose(): closes the scratch files; the next copy makes a new one.
napi_value Dispose(napi_env env, napi_callback_info info) {
  void* data;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) == napi_ok) {
    static_cast<gmem::State*>(data)->CloseScratches();
  }
  return nullptr;
}

napi_value CallNames(napi_env env) {
  napi_value names = nullptr;
  napi_create_array(env, &names);
  uint32_t code = 0;
#define GMEM_NAME(name) #name,
  for (const char* name : {GMEM_CALLS(GMEM_NAME)}) {
    napi_value text = nullptr;
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &text);
    napi_set_element(env, names, code++, text);
  }
#undef GMEM_NAME
  return names;
}

template <typename T>
void Delete(void* data) {
  delete static_cast<T*>(data);
}

}  // namespace

NAPI_MODULE_INIT() {
  auto* state = new gmem::State;
  auto* blocking = new gmem::Blocking(env, state);
  auto* races = new gmem::Races(env, state);
  // The last hook runs first: what blocks ends before its memory and fds go.
  napi_add_env_cleanup_hook(env, Delete<gmem::State>, state);
  napi_add_env_cleanup_hook(env, Delete<gmem::Blocking>, blocking);
  napi_add_env_cleanup_hook(env, Delete<gmem::Races>, races);
  const auto with = [](void* data, const char* name, napi_callback callback) {
    return napi_property_descriptor{name, nullptr, callback, nullptr, nullptr, nullptr, napi_enumerable, data};
  };
  const auto function = [state, with](const char* name, napi_callback callback) { return with(state, name, callback); };
  const napi_property_descriptor properties[] = {
      function("ioctl", gmem::IoctlNow),
      function("ioctlFrame", gmem::IoctlFrame),
      function("run", gmem::Run),
      function("submit", gmem::Submit),
      function("layouts", gmem::Layouts),
      function("dispose", Dispose),
      with(blocking, "ioctlBlocking", gmem::Blocking::Ioctl),
      with(blocking, "interrupt", gmem::Blocking::Interrupt),
      with(races, "race", gmem::Races::Start),
      {"calls", nullptr, nullptr, nullptr, nullptr, CallNames(env), napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, std::size(properties), properties);
  return exports;
}
