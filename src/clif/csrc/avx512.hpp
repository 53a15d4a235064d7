// Vectors in AVX-512.
#pragma once

#include <immintrin.h>

#include "vector.hpp"

namespace clif::CLIF_ISA {

// Some operations are called in their masked form, with a full mask: GCC 12 warns that the plain form reads an
// uninitialised value.
constexpr __mmask16 all_16 = 0xFFFF;
constexpr __mmask8 all_8 = 0xFF;

CLIF_INLINE __mmask16 first(std::ptrdiff_t count) { return static_cast<__mmask16>((1U << count) - 1); }

template <>
struct Native<float> {
    using Lanes = __m512;
    using Mask = __mmask16;

    static CLIF_INLINE Lanes repeat(float x) { return _mm512_set1_ps(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return _mm512_mask_blend_ps(m, no, yes); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
    static CLIF_INLINE Lanes root(Lanes x) { return _mm512_maskz_sqrt_ps(all_16, x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return _mm512_abs_ps(x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }

    static CLIF_INLINE Lanes load(const float* from) { return _mm512_loadu_ps(from); }
    static CLIF_INLINE Lanes load(const float* from, std::ptrdiff_t n) { return _mm512_maskz_loadu_ps(first(n), from); }
    static CLIF_INLINE void store(float* to, Lanes x) { _mm512_storeu_ps(to, x); }
    static CLIF_INLINE void store(float* to, Lanes x, std::ptrdiff_t n) { _mm512_mask_storeu_ps(to, first(n), x); }

    static CLIF_INLINE Lanes load(const Bfloat16* from) {
        return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static CLIF_INLINE Lanes load(const Bfloat16* from, std::ptrdiff_t n) {
        return widened(_mm256_maskz_loadu_epi16(first(n), from));
    }

private:
    static CLIF_INLINE Lanes widened(__m256i x) {
        return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(all_16, _mm512_maskz_cvtepu16_epi32(all_16, x), 16));
    }
};

template <>
struct Native<double> {
    using Lanes = __m512d;
    using Mask = __mmask8;

    static CLIF_INLINE Lanes repeat(double x) { return _mm512_set1_pd(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return _mm512_mask_blend_pd(m, no, yes); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
    static CLIF_INLINE Lanes root(Lanes x) { return _mm512_maskz_sqrt_pd(all_8, x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return _mm512_abs_pd(x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_pd(a, b, c); }

    static CLIF_INLINE Lanes load(const double* from) { return _mm512_loadu_pd(from); }
    static CLIF_INLINE Lanes load(const double* from, std::ptrdiff_t n) {
        return _mm512_maskz_loadu_pd(static_cast<Mask>(first(n)), from);
    }
    static CLIF_INLINE void store(double* to, Lanes x) { _mm512_storeu_pd(to, x); }
    static CLIF_INLINE void store(double* to, Lanes x, std::ptrdiff_t n) {
        _mm512_mask_storeu_pd(to, static_cast<Mask>(first(n)), x);
    }
};

CLIF_INLINE __mmask16 both(__mmask16 a, __mmask16 b) { return static_cast<__mmask16>(a & b); }
CLIF_INLINE __mmask16 either(__mmask16 a, __mmask16 b) { return static_cast<__mmask16>(a | b); }

template <class R>
CLIF_INLINE typename Native<R>::Mask opposite(typename Native<R>::Mask a) {
    return static_cast<typename Native<R>::Mask>(~a);
}

CLIF_INLINE Parts<float> parts_of(Vector<float> x) {
    return {Vector<float>(_mm512_maskz_getexp_ps(all_16, x.lanes)),
            Vector<float>(_mm512_maskz_getmant_ps(all_16, x.lanes, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src))};
}

CLIF_INLINE Parts<double> parts_of(Vector<double> x) {
    return {Vector<double>(_mm512_maskz_getexp_pd(all_8, x.lanes)),
            Vector<double>(_mm512_maskz_getmant_pd(all_8, x.lanes, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src))};
}

CLIF_INLINE void store_bits(Bfloat16* to, __m256i x, All) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
}

CLIF_INLINE void store_bits(Bfloat16* to, __m256i x, First some) { _mm256_mask_storeu_epi16(to, first(some.count), x); }

// `narrow` of numeric.hpp for a vector. The instruction of AVX512-BF16 treats subnormal numbers as 0.
CLIF_INLINE __m256i narrowed(__m512 x) {
#ifdef CLIF_BFLOAT16_ONLY
    return (__m256i)_mm512_maskz_cvtneps_pbh(all_16, x);
#else
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_maskz_srli_epi32(all_16, bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i upper = _mm512_maskz_srli_epi32(all_16, rounded, 16);
    return _mm512_maskz_cvtepi32_epi16(all_16, _mm512_mask_mov_epi32(upper, nan, _mm512_set1_epi32(0x7FC0)));
#endif
}

template <class Which>
CLIF_INLINE void store(Bfloat16* to, Vector<float> x, Which which) {
    store_bits(to, narrowed(x.lanes), which);
}

CLIF_INLINE void stream(float* to, Vector<float> x) { _mm512_stream_ps(to, x.lanes); }
CLIF_INLINE void stream(double* to, Vector<double> x) { _mm512_stream_pd(to, x.lanes); }
CLIF_INLINE void stream_bits(Bfloat16* to, __m256i x) { _mm256_stream_si256(reinterpret_cast<__m256i*>(to), x); }
CLIF_INLINE void stream(Bfloat16* to, Vector<float> x) { stream_bits(to, narrowed(x.lanes)); }

CLIF_INLINE void write_spike(Bfloat16* to, __mmask16 fires, bool past_cache) {
    const __m256i spikes = _mm256_maskz_set1_epi16(fires, bfloat16_1.bits);
    if (past_cache) stream_bits(to, spikes);
    else store_bits(to, spikes, All{});
}

// How many `Number`s a strip of neurons has: forward 8, backward as many as 256 bytes of a row.
template <class S>
constexpr int forward_numbers = 8;

template <class S>
constexpr int backward_numbers = 256 / sizeof(S) / Vector<Compute<S>>::size;

// A number as fraction + integer, |fraction| <= 1/2. The fraction of an infinity is 0.
template <class R>
struct Split {
    Vector<R> fraction, integer;
};

CLIF_INLINE Split<double> split(Vector<double> y) {
    const Vector<double> fraction = _mm512_maskz_reduce_pd(all_8, y.lanes, 0);
    return {fraction, y - fraction};
}

CLIF_INLINE Split<float> split(Vector<float> y) {
    const Vector<float> fraction = _mm512_maskz_reduce_ps(all_16, y.lanes, 0);
    return {fraction, y - fraction};
}

CLIF_INLINE Vector<float> scaled(Vector<float> power, Vector<float> integer) {
    return _mm512_maskz_scalef_ps(all_16, power.lanes, integer.lanes);
}

CLIF_INLINE Vector<double> scaled(Vector<double> power, Vector<double> integer) {
    return _mm512_maskz_scalef_pd(all_8, power.lanes, integer.lanes);
}

// For float, a table takes fewer instructions than the polynomial of Exp2. Two registers hold 2^(i/32), and the
// remainder of y is so small that a quadratic polynomial is accurate enough.
struct alignas(64) Powers {
    static constexpr int count = 32;
    float of[count];

    constexpr Powers() : of() {
        double power = 1.0000000529621786;  // 2^rest is this times the polynomial in `one_plus_exp2`
        for (float& p : of) {
            p = static_cast<float>(power);
            power *= 1.0218971486541166782;  // 2^(1/32)
        }
    }
};

inline constexpr Powers powers;

CLIF_INLINE Vector<float> one_plus_exp2(Vector<float> y) {
    constexpr int down = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC, down_to_32nds = 5 << 4 | down;
    const __m512 rounder = Vector<float>(Exp2<float>::rounder / Powers::count).lanes;
    const Vector<float> rest = _mm512_maskz_reduce_ps(all_16, y.lanes, down_to_32nds);  // y less a multiple of 1/32
    const __m512i index = _mm512_castps_si512(_mm512_maskz_add_round_ps(all_16, y.lanes, rounder, down));
    const __m512 root = _mm512_permutex2var_ps(_mm512_load_ps(powers.of), index, _mm512_load_ps(powers.of + 16));
    const Vector<float> scale = _mm512_maskz_scalef_ps(all_16, root, y.lanes);  // by the integer below y
    const Vector<float> slope = multiply_add(rest, Vector<float>(2.42840604e-1F), Vector<float>(6.93116523e-1F));
    const Vector<float> power = multiply_add(slope, rest, Vector<float>(1));  // relative error 5e-8
    return multiply_add(power, scale, Vector<float>(1));
}

}  // namespace clif::CLIF_ISA
