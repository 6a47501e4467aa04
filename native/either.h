// A struct of which this build's header may have an older version, or none: the header's where it has the newest field,
// and else one of our own in the namespace `own`. Either way it then goes by the kernel's name here.
#pragma once

#include <type_traits>
#include <utility>

#include "layout.h"

// The header must name the struct, which it need not define.
#define EITHER_OF(type, newest)                                                             \
  template <typename Header>                                                                \
  concept Knows_##type = requires { std::declval<Header&>().newest; };                      \
  constexpr bool kHas_##type = Knows_##type<struct ::type>;                                 \
  using type = std::conditional_t<kHas_##type, struct ::type, struct own::type>;

#define EITHER(type, bytes, ...) LAYOUT(#type, type, bytes, kHas_##type, __VA_ARGS__)
