// The sigmoid of a number. NaN stays NaN; at an infinity, the result differs from the limit by at most the smallest
// normal number.
//
// Multiplications and additions are fused only here and in the gradients, if that is faster. In the neurons' equations
// both are rounded, as in PyTorch, so that spikes do not depend on the instruction set.
#pragma once

#include "numeric.hpp"

namespace clif::CLIF_ISA {

// Horner's scheme for Exp2<R>::polynomial, without a loop: a loop here would keep the compiler from vectorising the
// loops over rows.
template <class R, std::size_t... i>
CLIF_INLINE Number<R> polynomial(Number<R> f, std::index_sequence<i...>) {
    Number<R> sum = Exp2<R>::polynomial[0];
    ((sum = multiply_add(sum, f, Number<R>(Exp2<R>::polynomial[i + 1]))), ...);
    return sum;
}

// 1 + 2^y; instruction sets may overload it.
template <class R>
CLIF_INLINE Number<R> one_plus_exp2(Number<R> y) {
    constexpr std::size_t degree = sizeof(Exp2<R>::polynomial) / sizeof(R) - 1;
    const Split<R> parts = split(y);
    return 1 + scaled(polynomial<R>(parts.fraction, std::make_index_sequence<degree>()), parts.integer);
}

// The sigmoid of x * factor.
template <class R>
CLIF_INLINE Number<R> sigmoid(Number<R> x, Number<R> factor) {
    const Number<R> y = x * (factor * static_cast<R>(-1.44269504088896340736));
    return with_limits(y, 1 / one_plus_exp2(y));
}

}  // namespace clif::CLIF_ISA
