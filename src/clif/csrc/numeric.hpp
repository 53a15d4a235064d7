// Numbers as the kernels see them: storage types, and a sigmoid that the compiler can vectorise.
//
// A storage type S (float, double, Bfloat16) is what lies in memory; Compute<S> is what it is computed in. Everything
// here is branch-free arithmetic that means the same on every instruction set, so that spikes do too (the build
// switches the fusing of multiply and add off). NaN stays NaN; infinities give the limits.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

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

CLIF_INLINE float load(float x) { return x; }
CLIF_INLINE double load(double x) { return x; }
CLIF_INLINE float load(Bfloat16 x) { return bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

template <class S>
CLIF_INLINE S store(Compute<S> x) {
    if constexpr (std::is_same_v<S, Bfloat16>) {
        const auto bits = bit_cast<std::uint32_t>(x);
        const std::uint32_t to_nearest_even = bits + 0x7FFF + ((bits >> 16) & 1);
        return {static_cast<std::uint16_t>(x == x ? to_nearest_even >> 16 : 0x7FC0)};
    } else {
        return x;
    }
}

// A spike as stored: 0 or 1 needs no rounding.
template <class S>
CLIF_INLINE S store_spike(Compute<S> s) {
    if constexpr (std::is_same_v<S, Bfloat16>) {
        return {static_cast<std::uint16_t>(bit_cast<std::uint32_t>(s) >> 16)};
    } else {
        return s;
    }
}

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

template <class R>
CLIF_INLINE R exp2(R y) {
    using E = Exp2<R>;
    y = y < E::lowest ? E::lowest : y;
    y = y > E::highest ? E::highest : y;
    const R shifted = y + E::rounder;
    const R fraction = y - (shifted - E::rounder);
    R power = E::polynomial[0];
    for (std::size_t i = 1; i < sizeof(E::polynomial) / sizeof(R); ++i) power = power * fraction + E::polynomial[i];
    const auto integer = bit_cast<typename E::Bits>(shifted);
    return power * bit_cast<R>((integer << E::mantissa_bits) + E::one);
}

template <class R>
CLIF_INLINE R sigmoid(R x) {
    constexpr R log2_e = static_cast<R>(1.44269504088896340736);
    return 1 / (1 + exp2(x * -log2_e));
}

}  // namespace clif
