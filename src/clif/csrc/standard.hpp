// The parts of the C++ standard library that units use: its headers or, if they are missing, definitions of the names.
//
// A unit is compiled without that library (-nostdlib++): `zig c++` would build its own first, which takes minutes.
#pragma once

#if !defined(__has_include) || __has_include(<type_traits>)

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#else

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace std {

using ::int32_t;
using ::int64_t;
using ::memcpy;
using ::ptrdiff_t;
using ::size_t;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;

template <bool condition, class Yes, class No>
struct conditional {
    using type = Yes;
};

template <class Yes, class No>
struct conditional<false, Yes, No> {
    using type = No;
};

template <bool condition, class Yes, class No>
using conditional_t = typename conditional<condition, Yes, No>::type;

template <class A, class B>
inline constexpr bool is_same_v = __is_same(A, B);

template <class T, T... values>
struct integer_sequence {};

template <size_t... values>
using index_sequence = integer_sequence<size_t, values...>;

template <size_t count>
using make_index_sequence = __make_integer_seq<integer_sequence, size_t, count>;

}  // namespace std

#endif
