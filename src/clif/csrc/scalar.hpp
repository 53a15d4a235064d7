// The numbers of the baseline: plain numbers, one at a time, in loops that the compiler vectorises. The vectors of the
// other instruction sets (vector.hpp) have the same functions.
#pragma once

#include "numeric.hpp"

namespace clif::CLIF_ISA {

template <class R>
using Number = R;

// Selects the elements that are loaded or stored: as many as a `Number` has, here one.
struct All {};

template <class S>
CLIF_INLINE Compute<S> load(const S* from, All) {
    return widen(*from);
}

template <class R>
CLIF_INLINE void store(R* to, R x, All) {
    *to = x;
}

CLIF_INLINE void store(Bfloat16* to, float x, All) { *to = narrow(x); }

// Like `store`: the baseline has no instructions to write past the caches.
template <class S>
CLIF_INLINE void write(S* to, Compute<S> x, bool) {
    store(to, x, All{});
}

template <class R>
CLIF_INLINE void write_spike(R* to, bool fires, bool) {
    *to = fires ? R(1) : R(0);
}

CLIF_INLINE void write_spike(Bfloat16* to, bool fires, bool) { to->bits = fires ? bfloat16_1.bits : 0; }

template <class R>
CLIF_INLINE R select(bool condition, R yes, R no) {
    return condition ? yes : no;
}

template <class R>
CLIF_INLINE R absolute(R x) {
    return x < 0 ? -x : x;
}

template <class R>
CLIF_INLINE R multiply_add(R a, R b, R c) {
#ifdef __FP_FAST_FMAF
    if constexpr (std::is_same_v<R, double>) return __builtin_fma(a, b, c);
    else return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

// Comparisons and masks, as functions because vectors have no operators for them.
template <class R>
CLIF_INLINE bool equal(R a, R b) {
    return a == b;
}

CLIF_INLINE bool both(bool a, bool b) { return a & b; }
CLIF_INLINE bool either(bool a, bool b) { return a | b; }

template <class R>
CLIF_INLINE bool opposite(bool a) {
    return !a;
}

template <class R>
CLIF_INLINE R root(R x) {
    if constexpr (std::is_same_v<R, double>) return __builtin_sqrt(x);
    else return __builtin_sqrtf(x);
}

#ifndef __FP_FAST_FMAF
// The upper half of a number's bits.
template <class R>
CLIF_INLINE R upper_half(R x) {
    const R shifted = x * (sizeof(R) == sizeof(float) ? R(4097) : R(134217729));  // 2^12 + 1, 2^27 + 1
    return shifted - (shifted - x);
}
#endif

// a * b - c without rounding the product, if c is that product rounded.
template <class R>
CLIF_INLINE R fused_difference(R a, R b, R c) {
#ifdef __FP_FAST_FMAF
    return multiply_add(a, b, -c);
#else
    const R a1 = upper_half(a), a2 = a - a1, b1 = upper_half(b), b2 = b - b1;
    return ((a1 * b1 - c) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}

// Applies a function of plain numbers to each lane, here to one number.
template <class R, class Function>
CLIF_INLINE R by_lane(R a, R b, const Function& function) {
    return function(a, b);
}

// A positive normal number as mantissa * 2^exponent, 1 <= mantissa < 2.
template <class R>
struct Parts {
    R exponent, mantissa;
};

template <class R>
CLIF_INLINE Parts<R> parts_of(R x) {
    using E = Exp2<R>;
    using Bits = typename E::Bits;
    const Bits bits = bit_cast<Bits>(x), one = bit_cast<Bits>(R(1));
    const Bits mantissa = (bits & ((Bits(1) << E::mantissa_bits) - 1)) | one;
    const R exponent =
        bit_cast<R>((bits >> E::mantissa_bits) | bit_cast<Bits>(E::whole)) - (E::whole + (one >> E::mantissa_bits));
    return {exponent, bit_cast<R>(mantissa)};
}

// A number as fraction + integer, |fraction| <= 1/2; only valid up to Exp2<R>::bound.
template <class R>
struct Split {
    R fraction;
    typename Exp2<R>::Bits integer;  // in the lowest bits
};

template <class R>
CLIF_INLINE Split<R> split(R y) {
    using E = Exp2<R>;
    const R shifted = y + E::rounder;
    return {y - (shifted - E::rounder), bit_cast<typename E::Bits>(shifted)};
}

template <class R>
CLIF_INLINE R scaled(R power, typename Exp2<R>::Bits integer) {
    using E = Exp2<R>;
    return power * bit_cast<R>((integer << E::mantissa_bits) + bit_cast<typename E::Bits>(R(1)));
}

// 1 / (1 + 2^y): `result` if y is within its bounds, else the limit. The limits are selected last, outside of the
// longest chain of dependent operations.
template <class R>
CLIF_INLINE R with_limits(R y, R result) {
    const R below = y < -Exp2<R>::bound ? R(1) : result;
    return y > Exp2<R>::bound ? R(0) : below;
}

// Calls work(i, which) for all i in [0, n).
template <class R, class Work>
CLIF_INLINE void over_numbers(std::ptrdiff_t n, const Work& work) {
#pragma omp simd
    for (std::ptrdiff_t i = 0; i < n; ++i) work(i, All{});
}

// How many `Number`s a strip of neurons has, forward and backward.
template <class S>
constexpr int forward_numbers = 64;

template <class S>
constexpr int backward_numbers = 64;

// Calls work(k) for the `Number`s of a strip of neurons.
template <int count, class Work>
CLIF_INLINE void over(const Work& work) {
#pragma omp simd
    for (int k = 0; k < count; ++k) work(k);
}

}  // namespace clif::CLIF_ISA
