// The types of numbers in memory and in computations, and conversions between them.
//
// A storage type S (float, double, Bfloat16) is the type of numbers in memory. Compute<S>, called R in the other files,
// is the type in which they are computed. The build forbids the compiler to fuse multiplications and additions itself.
#pragma once

#include "standard.hpp"

#if defined(__GNUC__)
#define CLIF_INLINE inline __attribute__((always_inline))
#define CLIF_INLINE_LAMBDA __attribute__((always_inline))
#define CLIF_UNROLL _Pragma("GCC unroll 64")
#else
#define CLIF_INLINE inline
#define CLIF_INLINE_LAMBDA
#define CLIF_UNROLL
#endif

namespace clif {

struct Bfloat16 {
    std::uint16_t bits;
};

template <class S>
using Compute = std::conditional_t<std::is_same_v<S, double>, double, float>;

template <class To, class From>
CLIF_INLINE To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}

CLIF_INLINE float widen(float x) { return x; }
CLIF_INLINE double widen(double x) { return x; }
CLIF_INLINE float widen(Bfloat16 x) { return bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

// Rounds to the nearest, ties to even.
CLIF_INLINE Bfloat16 narrow(float x) {
    const auto bits = bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    return {static_cast<std::uint16_t>(x == x ? rounded >> 16 : 0x7FC0)};
}

template <class S>
CLIF_INLINE S narrowed_to(Compute<S> x) {
    if constexpr (std::is_same_v<S, Bfloat16>) return narrow(x);
    else return x;
}

constexpr Bfloat16 bfloat16_1{0x3F80};

CLIF_INLINE int bits_set(std::uint64_t word) {
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    return ((word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F) * 0x0101010101010101 >> 56;
}

CLIF_INLINE int lowest_bit(std::uint64_t word) {
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    int bit = 0;
    for (; !(word & 1); word >>= 1) ++bit;
    return bit;
#endif
}

// The constants for 2^y. Below -bound, 1 + 2^y is 1; above bound, its inverse is almost 0. Adding `rounder`, which is
// 1.5 * 2^mantissa_bits, rounds to an integer. The mantissa bits of `whole`, which is 2^mantissa_bits, plus an integer
// are that integer. `polynomial` is the minimax polynomial of 2^f on |f| <= 1/2.
template <class R>
struct Exp2;

template <>
struct Exp2<float> {
    using Bits = std::uint32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr float bound = 125, rounder = 12582912, whole = 8388608;
    static constexpr float polynomial[] = {1.32647271933882547e-3F, 9.67151263992283017e-3F, 5.55073374326512242e-2F,
                                           2.40222420853691637e-1F, 6.93146977599154668e-1F,
                                           1.0F};  // relative error 9e-8, in a sigmoid at most 2.3e-8
};

template <>
struct Exp2<double> {
    using Bits = std::uint64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr double bound = 1020, rounder = 6755399441055744, whole = 4503599627370496;
    static constexpr double polynomial[] = {
        4.45581790833606449e-10, 7.07419429728852101e-9, 1.01780570877339411e-7, 1.32154325359123762e-6,
        1.52527338415567726e-5,  1.54035304637243542e-4, 1.33335581464064707e-3, 9.61812910758725667e-3,
        5.55041086648216270e-2,  2.40226506959101596e-1, 6.93147180559945309e-1, 1.0};  // relative error 3e-18
};

}  // namespace clif
