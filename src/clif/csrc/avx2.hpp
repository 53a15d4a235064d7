// Vectors in AVX2 (with FMA).
#pragma once

#include <immintrin.h>

#include "split.hpp"
#include "vector.hpp"

namespace clif::CLIF_ISA {

// The mask of a load or store of the first `count` elements of a vector: all their bits are set.
CLIF_INLINE __m256i first_of_8(std::ptrdiff_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

CLIF_INLINE __m256i first_of_4(std::ptrdiff_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}

template <>
struct Native<float> {
    using Lanes = __m256;
    using Mask = __m256;
    using Bits = __m256i;

    static CLIF_INLINE Lanes repeat(float x) { return _mm256_set1_ps(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return _mm256_blendv_ps(no, yes, m); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
    static CLIF_INLINE Lanes root(Lanes x) { return _mm256_sqrt_ps(x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }

    static CLIF_INLINE Lanes load(const float* from) { return _mm256_loadu_ps(from); }
    static CLIF_INLINE Lanes load(const float* from, std::ptrdiff_t n) {
        return _mm256_maskload_ps(from, first_of_8(n));
    }
    static CLIF_INLINE void store(float* to, Lanes x) { _mm256_storeu_ps(to, x); }
    static CLIF_INLINE void store(float* to, Lanes x, std::ptrdiff_t n) { _mm256_maskstore_ps(to, first_of_8(n), x); }

    static CLIF_INLINE Lanes load(const Bfloat16* from) {
        return widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    static CLIF_INLINE Lanes load(const Bfloat16* from, std::ptrdiff_t n) {
        Bfloat16 whole[8] = {};
        for (std::ptrdiff_t i = 0; i < n; ++i) whole[i] = from[i];
        return load(whole);
    }

    // NaN stays NaN: `_mm256_min_ps` returns its second operand if one of them is NaN.
    static CLIF_INLINE Lanes within(Lanes x, float bound) {
        return _mm256_max_ps(repeat(-bound), _mm256_min_ps(repeat(bound), x));
    }
    static CLIF_INLINE Lanes power_of_2(Bits integer) {
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(integer, 23), bits(repeat(1))));
    }
    static CLIF_INLINE Bits bits(Lanes x) { return _mm256_castps_si256(x); }

private:
    static CLIF_INLINE Lanes widened(__m128i x) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
    }
};

template <>
struct Native<double> {
    using Lanes = __m256d;
    using Mask = __m256d;
    using Bits = __m256i;

    static CLIF_INLINE Lanes repeat(double x) { return _mm256_set1_pd(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return _mm256_blendv_pd(no, yes, m); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
    static CLIF_INLINE Lanes root(Lanes x) { return _mm256_sqrt_pd(x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_pd(a, b, c); }

    static CLIF_INLINE Lanes load(const double* from) { return _mm256_loadu_pd(from); }
    static CLIF_INLINE Lanes load(const double* from, std::ptrdiff_t n) {
        return _mm256_maskload_pd(from, first_of_4(n));
    }
    static CLIF_INLINE void store(double* to, Lanes x) { _mm256_storeu_pd(to, x); }
    static CLIF_INLINE void store(double* to, Lanes x, std::ptrdiff_t n) { _mm256_maskstore_pd(to, first_of_4(n), x); }

    static CLIF_INLINE Lanes within(Lanes x, double bound) {
        return _mm256_max_pd(repeat(-bound), _mm256_min_pd(repeat(bound), x));
    }
    static CLIF_INLINE Lanes power_of_2(Bits integer) {
        return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_slli_epi64(integer, 52), bits(repeat(1))));
    }
    static CLIF_INLINE Bits bits(Lanes x) { return _mm256_castpd_si256(x); }
};

CLIF_INLINE __m256 both(__m256 a, __m256 b) { return _mm256_and_ps(a, b); }
CLIF_INLINE __m256 either(__m256 a, __m256 b) { return _mm256_or_ps(a, b); }
CLIF_INLINE __m256d both(__m256d a, __m256d b) { return _mm256_and_pd(a, b); }
CLIF_INLINE __m256d either(__m256d a, __m256d b) { return _mm256_or_pd(a, b); }

template <class R>
CLIF_INLINE typename Native<R>::Mask opposite(typename Native<R>::Mask a) {
    const auto all = Native<R>::equal(Native<R>::repeat(R(0)), Native<R>::repeat(R(0)));
    if constexpr (std::is_same_v<R, double>) return _mm256_xor_pd(a, all);
    else return _mm256_xor_ps(a, all);
}

CLIF_INLINE Parts<float> parts_of(Vector<float> x) {
    const __m256i bits = _mm256_castps_si256(x.lanes), one = _mm256_castps_si256(_mm256_set1_ps(1));
    const __m256i mantissa = _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x7FFFFF)), one);
    const __m256i exponent = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127));
    return {Vector<float>(_mm256_cvtepi32_ps(exponent)), Vector<float>(_mm256_castsi256_ps(mantissa))};
}

CLIF_INLINE Parts<double> parts_of(Vector<double> x) {
    const __m256i bits = _mm256_castpd_si256(x.lanes), one = _mm256_castpd_si256(_mm256_set1_pd(1));
    const __m256i fraction = _mm256_set1_epi64x((std::int64_t(1) << 52) - 1);
    const __m256i mantissa = _mm256_or_si256(_mm256_and_si256(bits, fraction), one);
    const __m256d whole = _mm256_set1_pd(Exp2<double>::whole);
    const __m256i shifted = _mm256_or_si256(_mm256_srli_epi64(bits, 52), _mm256_castpd_si256(whole));
    const __m256d exponent = _mm256_sub_pd(_mm256_castsi256_pd(shifted), _mm256_set1_pd(Exp2<double>::whole + 1023));
    return {Vector<double>(exponent), Vector<double>(_mm256_castsi256_pd(mantissa))};
}

// The lower halves of eight 32-bit integers, whose upper halves are 0.
CLIF_INLINE __m128i lower_halves(__m256i x) {
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0x08));
}

CLIF_INLINE void store_bits(Bfloat16* to, __m256i x, All) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), lower_halves(x));
}

CLIF_INLINE void store_bits(Bfloat16* to, __m256i x, First some) {
    Bfloat16 whole[8];
    store_bits(whole, x, All{});
    for (std::ptrdiff_t i = 0; i < some.count; ++i) to[i] = whole[i];
}

// `narrow` of numeric.hpp for a vector. Each result is the lower half of a 32-bit integer.
CLIF_INLINE __m256i narrowed(Vector<float> x) {
    const __m256i bits = _mm256_castps_si256(x.lanes);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x.lanes, x.lanes, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), _mm256_set1_epi32(0x7FC0), nan);
}

template <class Which>
CLIF_INLINE void store(Bfloat16* to, Vector<float> x, Which which) {
    store_bits(to, narrowed(x), which);
}

CLIF_INLINE void stream(float* to, Vector<float> x) { _mm256_stream_ps(to, x.lanes); }
CLIF_INLINE void stream(double* to, Vector<double> x) { _mm256_stream_pd(to, x.lanes); }
CLIF_INLINE void stream(Bfloat16* to, Vector<float> x) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), lower_halves(narrowed(x)));
}

CLIF_INLINE __m256i spike_bits(__m256 fires) {
    return _mm256_and_si256(_mm256_castps_si256(fires), _mm256_set1_epi32(bfloat16_1.bits));
}

CLIF_INLINE void write_spike(Bfloat16* to, __m256 fires, bool past_cache) {
    if (past_cache) _mm_stream_si128(reinterpret_cast<__m128i*>(to), lower_halves(spike_bits(fires)));
    else store_bits(to, spike_bits(fires), All{});
}

// How many `Number`s a strip of neurons has, forward and backward.
template <class S>
constexpr int forward_numbers = 8;

template <class S>
constexpr int backward_numbers = 8;

// For float, a table takes fewer instructions than the polynomial of Exp2. Entry i is the bits of 2^(i/8) minus i <<
// 20, so that adding the eighths of y, shifted left by 20, gives the bits of 2^y for y rounded to eighths. The
// remainder of y goes into a cubic polynomial.
struct alignas(32) Powers {
    std::uint32_t bits[8] = {0x3F800000, 0x3F7B95C2, 0x3F7837F0, 0x3F75FED7,
                             0x3F7504F3, 0x3F75672A, 0x3F7744FD, 0x3F7AC0C7};
};

inline constexpr Powers powers;

CLIF_INLINE Vector<float> one_plus_exp2(Vector<float> y) {
    y = Native<float>::within(y.lanes, Exp2<float>::bound);
    constexpr float rounder = Exp2<float>::rounder / 8;
    const Vector<float> shifted = y + rounder;
    const Vector<float> rest = y - (shifted - rounder);  // at most 1/16
    const __m256i eighths = _mm256_castps_si256(shifted.lanes);
    const __m256i table = _mm256_load_si256(reinterpret_cast<const __m256i*>(powers.bits));
    const __m256i root = _mm256_permutevar8x32_epi32(table, eighths);  // by the lowest 3 bits
    const Vector<float> scale = _mm256_castsi256_ps(_mm256_add_epi32(root, _mm256_slli_epi32(eighths, 20)));
    Vector<float> power = multiply_add(rest, Vector<float>(5.5496223e-2F), Vector<float>(2.4025764e-1F));
    power = multiply_add(power, rest, Vector<float>(6.9314724e-1F));
    power = multiply_add(power, rest, Vector<float>(1));  // relative error 3e-8
    return multiply_add(power, scale, Vector<float>(1));
}

}  // namespace clif::CLIF_ISA
