// Numbers as the kernels see them: storage types, and a sigmoid that the compiler can vectorise.
//
// A storage type S (float, double, Bfloat16) is what lies in memory; Compute<S> is what it is computed in. Everything
// here is branch-free arithmetic. The build forbids the compiler to fuse multiplications and additions by itself.
// NaN stays NaN; infinities give the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__GNUC__)
#define CLIF_INLINE inline __attribute__((always_inline))
#else
#define CLIF_INLINE inline
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

CLIF_INLINE float widen(Bfloat16 x) { return bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

// To the nearest, ties to even.
CLIF_INLINE Bfloat16 narrow(float x) {
    const auto bits = bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    return {static_cast<std::uint16_t>(x == x ? rounded >> 16 : 0x7FC0)};
}

// The same for a number that needs no rounding, such as 0 or 1.
CLIF_INLINE Bfloat16 narrow_exact(float x) {
    return {static_cast<std::uint16_t>(bit_cast<std::uint32_t>(x) >> 16)};
}

// The ways to compute a * b + c, in the exponential only: everywhere else both are rounded, as PyTorch rounds them, so
// that spikes do not depend on the instruction set.
struct Separate {
    template <class R>
    static CLIF_INLINE R multiply_add(R a, R b, R c) {
        return a * b + c;
    }
};

struct Fused {
    static CLIF_INLINE float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
    static CLIF_INLINE double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
};

// What 2^y needs: the range of y between underflow and infinity, the magic number whose addition rounds to an integer
// (1.5 times 2 to the number of mantissa bits), and the minimax polynomial of 2^f on |f| <= 1/2.
template <class R>
struct Exp2;

template <>
struct Exp2<float> {
    using Bits = std::uint32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr float lowest = -126, highest = 128, rounder = 12582912;
    static constexpr Bits one = 0x3F800000;
    static constexpr float polynomial[] = {1.54614446985691291e-4F, 1.34004281776158379e-3F, 9.61805667852463808e-3F,
                                           5.55032722667030206e-2F, 2.40226509222887581e-1F, 6.93147206702832596e-1F,
                                           1.0F};  // relative error 2e-9, below float's rounding
};

template <>
struct Exp2<double> {
    using Bits = std::uint64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr double lowest = -1022, highest = 1024, rounder = 6755399441055744;
    static constexpr Bits one = 0x3FF0000000000000;
    static constexpr double polynomial[] = {
        4.45581790833606449e-10, 7.07419429728852101e-9, 1.01780570877339411e-7, 1.32154325359123762e-6,
        1.52527338415567726e-5,  1.54035304637243542e-4, 1.33335581464064707e-3, 9.61812910758725667e-3,
        5.55041086648216270e-2,  2.40226506959101596e-1, 6.93147180559945309e-1, 1.0};  // relative error 3e-18
};

// Horner's scheme for Exp2<R>::polynomial, as straight code: a loop here would keep the loops over rows from being
// vectorised.
template <class Arithmetic, class R, std::size_t... i>
CLIF_INLINE R polynomial(R f, std::index_sequence<i...>) {
    R sum = Exp2<R>::polynomial[0];
    ((sum = Arithmetic::multiply_add(sum, f, Exp2<R>::polynomial[i + 1])), ...);
    return sum;
}

// 1 / (1 + 2^y). Where 2^y leaves its range the limit is put in last, off the longest chain of dependent operations.
template <class Arithmetic, class R>
CLIF_INLINE R logistic2(R y) {
    using E = Exp2<R>;
    const R shifted = y + E::rounder;
    const R fraction = y - (shifted - E::rounder);
    constexpr std::size_t degree = sizeof(E::polynomial) / sizeof(R) - 1;
    const R power = polynomial<Arithmetic>(fraction, std::make_index_sequence<degree>());
    const auto integer = bit_cast<typename E::Bits>(shifted);
    const R scale = bit_cast<R>((integer << E::mantissa_bits) + E::one);
    const R result = 1 / (1 + power * scale);
    const R below = y < E::lowest ? R(1) : result;
    return y > E::highest ? R(0) : below;
}

template <class Arithmetic, class R>
CLIF_INLINE R sigmoid(R x) {
    constexpr R log2_e = static_cast<R>(1.44269504088896340736);
    return logistic2<Arithmetic>(x * -log2_e);
}

}  // namespace clif
