// The functions of a neuron's step beyond arithmetic, written once for plain numbers (scalar.hpp) and vectors
// (vector.hpp).
//
// Relative errors in units in the last place: exponential 4 (float) and 8 (double), logarithm 3, hyperbolic_tangent 3,
// softplus 4. error_function and power call the C library for each lane. NaN stays NaN; at an infinity, the result is
// the limit.
#pragma once

#include "sigmoid.hpp"

namespace clif::CLIF_ISA {

template <class R>
CLIF_INLINE Number<R> constant(double x) {
    return Number<R>(static_cast<R>(x));
}

template <class N>
CLIF_INLINE N maximum(N a, N b) {
    return select(a < b, b, select(equal(b, b), a, b));
}

template <class N>
CLIF_INLINE N minimum(N a, N b) {
    return select(b < a, b, select(equal(b, b), a, b));
}

// Rounds to the nearest whole number, ties to even. Adding and subtracting Exp2<R>::whole rounds a smaller number; a
// larger one has no fraction.
template <class R>
CLIF_INLINE Number<R> nearest(Number<R> x) {
    const Number<R> whole(Exp2<R>::whole), size = absolute(x), near = (size + whole) - whole;
    return select(size < whole, select(x < Number<R>(R(0)), -near, near), x);
}

template <class R>
CLIF_INLINE Number<R> floored(Number<R> x) {
    const Number<R> near = nearest<R>(x);
    return select(x < near, near - constant<R>(1), near);
}

// e^x as the square of e^(x/2), which overflows or underflows only if its square does.
template <class R>
CLIF_INLINE Number<R> exponential(Number<R> x) {
    constexpr std::size_t degree = sizeof(Exp2<R>::polynomial) / sizeof(R) - 1;
    constexpr double half_log2e = 0.72134752044448170368;
    constexpr double rest_of_it = half_log2e - static_cast<double>(static_cast<R>(half_log2e)) + 1.0177636870465516e-17;
    const Number<R> factor = constant<R>(half_log2e), bound(Exp2<R>::bound);
    const Number<R> whole = x * factor;
    const Number<R> y = select(bound < whole, bound, select(whole < -bound, -bound, whole));
    const Number<R> inside = select(absolute(whole) < bound, x, Number<R>(R(0)));
    const Number<R> lost = fused_difference(inside, factor, select(absolute(whole) < bound, whole, Number<R>(R(0))));
    const Split<R> parts = split(y);
    const Number<R> fraction = parts.fraction + (lost + inside * constant<R>(rest_of_it));
    const Number<R> root = scaled(polynomial<R>(fraction, std::make_index_sequence<degree>()), parts.integer);
    return root * root;
}

// 2·artanh(s) = s·(2 + 2/3·s² + 2/5·s⁴ + …), with `terms` terms.
template <class R, int terms>
CLIF_INLINE Number<R> twice_artanh(Number<R> s) {
    const Number<R> square = s * s;
    Number<R> sum = constant<R>(2.0 / (2 * terms - 1));
    CLIF_UNROLL for (int i = terms - 1; i-- > 0;) sum = multiply_add(sum, square, constant<R>(2.0 / (2 * i + 1)));
    return s * sum;
}

template <class R>
CLIF_INLINE Number<R> logarithm(Number<R> x) {
    constexpr bool is_float = sizeof(R) == sizeof(float);
    constexpr double ln2 = 0.69314718055994530942;
    // ln 2 with few bits, so that its product with the exponent is exact
    constexpr double high = is_float ? 0.693145751953125 : 0.693147180369123816490;
    const Number<R> least = constant<R>(is_float ? 1.17549435e-38 : 2.2250738585072014e-308), zero(R(0)), one(R(1));
    const Number<R> lift = constant<R>(is_float ? 33554432.0 : 18014398509481984.0);  // 2^25, 2^54
    const auto tiny = x < least;
    const Parts<R> parts = parts_of(select(tiny, x * lift, x));
    const auto large = constant<R>(1.41421356237309504880) < parts.mantissa;
    const Number<R> mantissa = select(large, parts.mantissa * constant<R>(0.5), parts.mantissa);
    Number<R> exponent = select(large, parts.exponent + one, parts.exponent);
    exponent = select(tiny, exponent - constant<R>(is_float ? 25 : 54), exponent);
    const Number<R> s = (mantissa - one) / (mantissa + one);
    const Number<R> low = multiply_add(exponent, constant<R>(ln2 - high), twice_artanh<R, is_float ? 6 : 12>(s));
    const Number<R> infinity = constant<R>(__builtin_inf()), nan = constant<R>(__builtin_nan(""));
    Number<R> result = multiply_add(exponent, constant<R>(high), low);
    result = select(x < infinity, result, x);  // infinity and NaN stay
    result = select(zero < x, result, select(equal(x, zero), -infinity, nan));
    return select(equal(x, x), result, x);
}

template <class R>
struct SmallTanh;  // tanh(x) / x as a polynomial of x², for |x| <= 0.625

template <>
struct SmallTanh<float> {
    static constexpr double polynomial[] = {-0.00565713518438039149, 0.020588191454586372,  -0.053720107656628939,
                                            0.133311140556897688,    -0.333332598629475277, 0.999999996022721743};
};

template <>
struct SmallTanh<double> {
    static constexpr double polynomial[] = {
        -0.0000160014995130010411, 0.0000769856319904542287, -0.000228410185295128504, 0.000586231431605061178,
        -0.00145492938585439026,   0.00359198252158392496,   -0.00886322002125609513,  0.0218694874834105958,
        -0.0539682539259456956,    0.133333333332452529,     -0.333333333333326135,    0.99999999999999999};
};

template <class R>
CLIF_INLINE Number<R> hyperbolic_tangent(Number<R> x) {
    constexpr int count = sizeof(SmallTanh<R>::polynomial) / sizeof(double);
    const Number<R> square = x * x, size = absolute(x), one(R(1));
    Number<R> sum = constant<R>(SmallTanh<R>::polynomial[0]);
    CLIF_UNROLL for (int i = 1; i < count; ++i)
        sum = multiply_add(sum, square, constant<R>(SmallTanh<R>::polynomial[i]));
    const Number<R> large = one - constant<R>(2) * sigmoid<R>(size, constant<R>(-2));
    const Number<R> far = select(x < Number<R>(R(0)), -large, large);
    return select(size <= constant<R>(0.625), x * sum, far);
}

// max(x, 0) + log(1 + e^-|x|), with log(1 + z) = 2·artanh(z / (2 + z)). If x > 20, the result is x, as in PyTorch.
template <class R>
CLIF_INLINE Number<R> softplus(Number<R> x) {
    const Number<R> zero(R(0)), z = exponential<R>(-absolute(x));
    const Number<R> log = twice_artanh<R, sizeof(R) == sizeof(float) ? 8 : 17>(z / (constant<R>(2) + z));
    return select(constant<R>(20) < x, x, select(x < zero, zero, x) + log);
}

template <class R>
CLIF_INLINE Number<R> error_function(Number<R> x) {
    return by_lane<R>(x, x, [](R a, R) {
        if constexpr (sizeof(R) == sizeof(float)) return __builtin_erff(a);
        else return __builtin_erf(a);
    });
}

template <class R>
CLIF_INLINE Number<R> power(Number<R> base, Number<R> exponent) {
    return by_lane<R>(base, exponent, [](R a, R b) {
        if constexpr (sizeof(R) == sizeof(float)) return __builtin_powf(a, b);
        else return __builtin_pow(a, b);
    });
}

// Writes a neuron's output: a mask as spikes (1 if the neuron fires, else 0), numbers as they are.
template <class S, class Output>
CLIF_INLINE void write_output(S* to, Output output, bool past_cache) {
    if constexpr (std::is_same_v<Output, Number<Compute<S>>>) write(to, output, past_cache);
    else write_spike(to, output, past_cache);
}

}  // namespace clif::CLIF_ISA
