// The neurons' equations for one element and one step, and their derivatives. There is no other copy of them in C++;
// `clif.ops.reference` states the same in PyTorch, in the same order of operations. A number N is one element or, where
// the instruction set has vectors, as many as a vector holds.
#pragma once

#include "sigmoid.hpp"
#include "work.hpp"

namespace clif::CLIF_ISA {

// `Constants` as numbers.
template <class R>
struct Repeated {
    using N = Number<R>;
    N leak, keep, threshold, subtract, reset, alpha;
    Flag<R> decay_input, detach_reset;

    CLIF_INLINE explicit Repeated(const Constants<R>& c)
        : leak(c.leak), keep(c.keep), threshold(c.threshold), subtract(c.subtract), reset(c.reset), alpha(c.alpha),
          decay_input(c.decay_input), detach_reset(c.detach_reset) {}
};

// Values within a step that its derivatives need; a neuron without a complementary potential has not the last three,
// and of a step from rest they are known.
template <class N>
struct Step {
    N u;       // v after charging, before the reset
    N u_leak;  // du/dleak, for PLIF
    N p;       // sigmoid(u / tau), by which m shrinks
    N m_u;     // dm/du through p, divided by p
    N q;       // sigmoid(m) after the step, which the reset takes from v
};

// The first half of a step forward: charge, form and fire. Puts u in place of v and advances m; returns where it fires.
// There is one where u - threshold >= 0, which is to say u >= threshold: only equal numbers have the difference 0.
//
// A step is cut in two because each half has one sigmoid, a long chain of operations that wait for each other: a loop
// over one half leaves the processor room to work on several elements at a time.
template <class Kind, class R>
CLIF_INLINE auto charge(Number<R> x, Number<R>& v, Number<R>& m, Step<Number<R>>& step, const Repeated<R>& c) {
    using N = Number<R>;
    if constexpr (Kind::learns_leak) {
        const N distance = Kind::hard_reset ? v - c.reset : v;
        step.u_leak = c.decay_input != 0 ? x - distance : -distance;
    }
    const N input = multiply_if(c.decay_input, x, c.leak);
    v = Kind::hard_reset ? v - (v - c.reset) * c.leak + input : v * c.keep + input;
    step.u = v;
    const auto fires = v >= c.threshold;
    if constexpr (Kind::from_rest) {
        m = select(fires, N(1), N(0));
    } else if constexpr (Kind::has_m) {
        step.p = sigmoid<R>(v, c.leak);
        const N slope = m * c.leak;
        step.m_u = multiply_add(-slope, step.p, slope);
        m *= step.p;
        m = select(fires, m + 1, m);
    }
    return fires;
}

// sigmoid(m) after a step from rest, when m is 1 or 0.
template <class R, class Mask>
CLIF_INLINE Number<R> q_from_rest(Mask fired) {
    using N = Number<R>;
    return select(fired, sigmoid<R>(N(1), N(1)), N(R(0.5)));
}

// The second half: reset. Puts v after the step in place of u; returns q.
template <class Kind, class R>
CLIF_INLINE Number<R> reset(Number<R>& v, Number<R> m, const Repeated<R>& c) {
    using N = Number<R>;
    const N u = v;
    const auto fires = u >= c.threshold;
    if constexpr (Kind::hard_reset) {
        const N spike = select(fires, N(1), N(0));
        v = (1 - spike) * u + spike * c.reset;
    } else {
        v = select(fires, u - c.subtract, u);
    }
    N q = R(0);
    if constexpr (Kind::from_rest) q = q_from_rest<R>(fires);
    else if constexpr (Kind::has_m) q = sigmoid<R>(m, N(1));
    if constexpr (Kind::has_m) v = select(fires, v - q, v);
    return q;
}

// One step backward: from the gradients of the spike (ds) and of v and m after the step to those of v and m before it,
// in place. Returns the gradient of u.
template <class Kind, class Surrogate, class R>
CLIF_INLINE Number<R> retreat(const Step<Number<R>>& step, Number<R> ds, Number<R>& dv, Number<R>& dm,
                              const Repeated<R>& c) {
    using N = Number<R>;
    const auto fired = step.u >= c.threshold;
    N v_spike = Kind::hard_reset ? c.reset - step.u : -c.subtract;  // dv/ds in the reset
    if constexpr (Kind::has_m) {
        N q = step.q;
        if constexpr (Kind::from_rest) q = q_from_rest<R>(fired);
        v_spike -= q;
        dm = select(fired, multiply_add(-dv, multiply_add(-q, q, q), dm), dm);
        ds += dm;
    }
    ds = multiply_add_unless(c.detach_reset, dv, v_spike, ds);
    N du = Kind::hard_reset ? select(fired, N(0), dv) : dv;
    du = multiply_add(ds, Surrogate::template derivative<R>(step.u - c.threshold, c.alpha), du);
    if constexpr (Kind::has_m && !Kind::from_rest) {
        dm *= step.p;
        du = multiply_add(dm, step.m_u, du);
    }
    dv = du * c.keep;
    return du;
}

// What replaces the derivative of the Heaviside step at x = u - v_threshold; see `clif.surrogate`.
struct Rectangle {
    template <class R>
    static CLIF_INLINE Number<R> derivative(Number<R> x, Number<R> alpha) {
        return select(absolute(x) <= alpha / 2, 1 / alpha, Number<R>(0));
    }
};

struct Sigmoid {
    template <class R>
    static CLIF_INLINE Number<R> derivative(Number<R> x, Number<R> alpha) {
        const Number<R> s = sigmoid<R>(x, alpha);
        return alpha * s * (1 - s);
    }
};

struct Triangle {
    template <class R>
    static CLIF_INLINE Number<R> derivative(Number<R> x, Number<R> alpha) {
        const Number<R> height = 1 - alpha * absolute(x);
        return alpha * select(height < 0, Number<R>(0), height);
    }
};

struct ATan {
    template <class R>
    static CLIF_INLINE Number<R> derivative(Number<R> x, Number<R> alpha) {
        const Number<R> slope = static_cast<R>(1.57079632679489661923) * alpha * x;
        return alpha / 2 / (1 + slope * slope);
    }
};

}  // namespace clif::CLIF_ISA
