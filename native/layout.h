// How a struct and a request number are checked against the header and written down, in one statement each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gmem {

struct Field {
  const char* name;
  size_t offset;
  size_t size;
};

struct Layout {
  const char* name;
  size_t size;
  bool from_header;
  std::vector<Field> fields;
};

struct Request {
  const char* name;
  uint32_t number;
  bool from_header;
};

constexpr bool kHeader = true;

#define STRUCT(type, bytes, from_header, ...) LAYOUT(#type, struct type, bytes, from_header, __VA_ARGS__)

// For a type that C gives no name.
#define LAYOUT(name, type, bytes, from_header, ...)                                   \
  [] {                                                                                \
    using Type = type;                                                                \
    static_assert(sizeof(Type) == (bytes), name " has another size in this header");  \
    return Layout{name, sizeof(Type), from_header, {__VA_ARGS__}};                    \
  }()

#define FIELD(field, at, bytes)                                                              \
  [] {                                                                                       \
    static_assert(offsetof(Type, field) == (at), #field " is elsewhere in this header");     \
    static_assert(sizeof(Type::field) == (bytes), #field " has another size in this header"); \
    return Field{#field, offsetof(Type, field), sizeof(Type::field)};                        \
  }()

#define REQUEST(macro, expected, from_header)                                          \
  [] {                                                                                 \
    static_assert((macro) == (expected), #macro " is another number in this header");  \
    return Request{#macro, static_cast<uint32_t>(macro), from_header};                 \
  }()

}  // namespace gmem
