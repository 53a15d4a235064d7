// Vectors in NEON of 64-bit ARM.
#pragma once

#include <arm_neon.h>

#include "split.hpp"
#include "vector.hpp"

namespace clif::CLIF_ISA {

// A part of a vector in memory of its own, because NEON has no masked loads and stores.
template <class S, int size>
struct Part {
    S element[size];

    CLIF_INLINE Part() : element() {}
    CLIF_INLINE Part(const S* from, std::ptrdiff_t n) : element() {
        for (std::ptrdiff_t i = 0; i < n; ++i) element[i] = from[i];
    }

    CLIF_INLINE void copy_to(S* to, std::ptrdiff_t n) const {
        for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = element[i];
    }
};

template <>
struct Native<float> {
    using Lanes = float32x4_t;
    using Mask = uint32x4_t;
    using Bits = uint32x4_t;

    static CLIF_INLINE Lanes repeat(float x) { return vdupq_n_f32(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return vcltq_f32(a, b); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return vcleq_f32(a, b); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return vbslq_f32(m, yes, no); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return vceqq_f32(a, b); }
    static CLIF_INLINE Lanes root(Lanes x) { return vsqrtq_f32(x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return vabsq_f32(x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return vfmaq_f32(c, a, b); }

    static CLIF_INLINE Lanes load(const float* from) { return vld1q_f32(from); }
    static CLIF_INLINE Lanes load(const float* from, std::ptrdiff_t n) { return load(Part<float, 4>(from, n).element); }
    static CLIF_INLINE void store(float* to, Lanes x) { vst1q_f32(to, x); }
    static CLIF_INLINE void store(float* to, Lanes x, std::ptrdiff_t n) {
        Part<float, 4> whole;
        store(whole.element, x);
        whole.copy_to(to, n);
    }

    static CLIF_INLINE Lanes load(const Bfloat16* from) {
        return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(&from->bits), 16));
    }
    static CLIF_INLINE Lanes load(const Bfloat16* from, std::ptrdiff_t n) {
        return load(Part<Bfloat16, 4>(from, n).element);
    }

    // NaN stays NaN.
    static CLIF_INLINE Lanes within(Lanes x, float bound) {
        return vmaxq_f32(repeat(-bound), vminq_f32(repeat(bound), x));
    }
    static CLIF_INLINE Lanes power_of_2(Bits integer) {
        return vreinterpretq_f32_u32(vaddq_u32(vshlq_n_u32(integer, 23), bits(repeat(1))));
    }
    static CLIF_INLINE Bits bits(Lanes x) { return vreinterpretq_u32_f32(x); }
};

template <>
struct Native<double> {
    using Lanes = float64x2_t;
    using Mask = uint64x2_t;
    using Bits = uint64x2_t;

    static CLIF_INLINE Lanes repeat(double x) { return vdupq_n_f64(x); }
    static CLIF_INLINE Mask less(Lanes a, Lanes b) { return vcltq_f64(a, b); }
    static CLIF_INLINE Mask not_above(Lanes a, Lanes b) { return vcleq_f64(a, b); }
    static CLIF_INLINE Lanes select(Mask m, Lanes yes, Lanes no) { return vbslq_f64(m, yes, no); }
    static CLIF_INLINE Mask equal(Lanes a, Lanes b) { return vceqq_f64(a, b); }
    static CLIF_INLINE Lanes root(Lanes x) { return vsqrtq_f64(x); }
    static CLIF_INLINE Lanes absolute(Lanes x) { return vabsq_f64(x); }
    static CLIF_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return vfmaq_f64(c, a, b); }

    static CLIF_INLINE Lanes load(const double* from) { return vld1q_f64(from); }
    static CLIF_INLINE Lanes load(const double* from, std::ptrdiff_t n) {
        return load(Part<double, 2>(from, n).element);
    }
    static CLIF_INLINE void store(double* to, Lanes x) { vst1q_f64(to, x); }
    static CLIF_INLINE void store(double* to, Lanes x, std::ptrdiff_t n) {
        Part<double, 2> whole;
        store(whole.element, x);
        whole.copy_to(to, n);
    }

    static CLIF_INLINE Lanes within(Lanes x, double bound) {
        return vmaxq_f64(repeat(-bound), vminq_f64(repeat(bound), x));
    }
    static CLIF_INLINE Lanes power_of_2(Bits integer) {
        return vreinterpretq_f64_u64(vaddq_u64(vshlq_n_u64(integer, 52), bits(repeat(1))));
    }
    static CLIF_INLINE Bits bits(Lanes x) { return vreinterpretq_u64_f64(x); }
};

CLIF_INLINE uint32x4_t both(uint32x4_t a, uint32x4_t b) { return a & b; }
CLIF_INLINE uint32x4_t either(uint32x4_t a, uint32x4_t b) { return a | b; }
CLIF_INLINE uint64x2_t both(uint64x2_t a, uint64x2_t b) { return a & b; }
CLIF_INLINE uint64x2_t either(uint64x2_t a, uint64x2_t b) { return a | b; }

template <class R>
CLIF_INLINE typename Native<R>::Mask opposite(typename Native<R>::Mask a) {
    return ~a;
}

CLIF_INLINE Parts<float> parts_of(Vector<float> x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x.lanes), one = vreinterpretq_u32_f32(vdupq_n_f32(1));
    const uint32x4_t mantissa = (bits & vdupq_n_u32(0x7FFFFF)) | one;
    const int32x4_t exponent = vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)) - vdupq_n_s32(127);
    return {Vector<float>(vcvtq_f32_s32(exponent)), Vector<float>(vreinterpretq_f32_u32(mantissa))};
}

CLIF_INLINE Parts<double> parts_of(Vector<double> x) {
    const uint64x2_t bits = vreinterpretq_u64_f64(x.lanes), one = vreinterpretq_u64_f64(vdupq_n_f64(1));
    const uint64x2_t mantissa = (bits & vdupq_n_u64((std::uint64_t(1) << 52) - 1)) | one;
    const int64x2_t exponent = vreinterpretq_s64_u64(vshrq_n_u64(bits, 52)) - vdupq_n_s64(1023);
    return {Vector<double>(vcvtq_f64_s64(exponent)), Vector<double>(vreinterpretq_f64_u64(mantissa))};
}

CLIF_INLINE void store_bits(Bfloat16* to, uint16x4_t x, All) { vst1_u16(&to->bits, x); }

CLIF_INLINE void store_bits(Bfloat16* to, uint16x4_t x, First some) {
    Part<Bfloat16, 4> whole;
    store_bits(whole.element, x, All{});
    whole.copy_to(to, some.count);
}

// `narrow` of numeric.hpp for a vector.
CLIF_INLINE uint16x4_t narrowed(Vector<float> x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x.lanes);
    const uint32x4_t odd = vshrq_n_u32(bits, 16) & vdupq_n_u32(1);
    const uint32x4_t rounded = bits + vdupq_n_u32(0x7FFF) + odd;
    const uint16x4_t is_number = vmovn_u32(vceqq_f32(x.lanes, x.lanes));
    return vbsl_u16(is_number, vshrn_n_u32(rounded, 16), vdup_n_u16(0x7FC0));
}

template <class Which>
CLIF_INLINE void store(Bfloat16* to, Vector<float> x, Which which) {
    store_bits(to, narrowed(x), which);
}

// The same as `store`: NEON can write past the caches only pairs of registers, and only as a hint.
template <class S, class R>
CLIF_INLINE void stream(S* to, Vector<R> x) {
    store(to, x, All{});
}

CLIF_INLINE void write_spike(Bfloat16* to, uint32x4_t fires, bool) {
    store_bits(to, vmovn_u32(fires) & vdup_n_u16(bfloat16_1.bits), All{});
}

// How many `Number`s a strip of neurons has, forward and backward.
template <class S>
constexpr int forward_numbers = 8;

template <class S>
constexpr int backward_numbers = 8;

}  // namespace clif::CLIF_ISA
