#include "race_result.h"

#include <cstring>
#include <vector>

namespace gmem {

namespace {

napi_value Numbers(napi_env env, const std::vector<double>& numbers) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(double), &data, &buffer) != napi_ok) return nullptr;
  if (!numbers.empty()) std::memcpy(data, numbers.data(), numbers.size() * sizeof(double));
  napi_create_typedarray(env, napi_float64_array, numbers.size(), buffer, 0, &array);
  return array;
}

napi_value BytesOf(napi_env env, const std::vector<uint8_t>& bytes) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array);
  return array;
}

napi_value Tallies(napi_env env, const Racer& racer) {
  std::vector<double> rows;
  for (const auto& [tally, count] : racer.tallies()) {
    rows.push_back(static_cast<double>(tally.step));
    rows.push_back(static_cast<double>(tally.outcome));
    rows.push_back(static_cast<double>(tally.word));
    rows.push_back(static_cast<double>(count));
  }
  return Numbers(env, rows);
}

napi_value LostOf(napi_env env, const Racer& racer) {
  if (!racer.lost()) return Numbers(env, {});
  const auto& [step, at, wanted, found] = *racer.lost();
  return Numbers(env, {static_cast<double>(step), static_cast<double>(at), static_cast<double>(wanted),
                       static_cast<double>(found)});
}

// [address, bytes, address, bytes, ...]
napi_value MemoryOf(napi_env env, const Racer& racer) {
  napi_value list = nullptr;
  napi_create_array(env, &list);
  uint32_t next = 0;
  for (const auto& [address, bytes] : racer.memory()) {
    napi_value number = nullptr;
    napi_create_bigint_uint64(env, address, &number);
    napi_set_element(env, list, next++, number);
    napi_set_element(env, list, next++, BytesOf(env, bytes));
  }
  return list;
}

}  // namespace

napi_value RaceResult(napi_env env, const Racer& racer) {
  napi_value result = nullptr;
  napi_create_array(env, &result);
  napi_set_element(env, result, 0, Numbers(env, {static_cast<double>(racer.made())}));
  napi_set_element(env, result, 1, Tallies(env, racer));
  napi_set_element(env, result, 2, LostOf(env, racer));
  napi_set_element(env, result, 3, MemoryOf(env, racer));
  return result;
}

}  // namespace gmem
