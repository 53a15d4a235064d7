// The neurons' equations for one element and one step, and their derivatives. There is no other copy of them in C++;
// `clif.ops.reference` states the same in PyTorch, in the same order of operations.
#pragma once

#include "numeric.hpp"

namespace clif {

enum class Neuron { clif, lif, plif };

// What of a neuron is known when its loops are compiled.
template <Neuron neuron_, bool hard_reset_, bool detach_reset_ = false>
struct Kind {
    static constexpr Neuron neuron = neuron_;
    static constexpr bool hard_reset = hard_reset_, detach_reset = detach_reset_;
    static constexpr bool has_m = neuron_ == Neuron::clif, learns_leak = neuron_ == Neuron::plif;
};

template <class R>
struct Constants {
    R leak;       // 1/tau
    R keep;       // 1 - leak
    R gain;       // of the input: leak with decay_input, else 1
    R threshold;  // v_threshold
    R subtract;   // what a soft reset takes from v
    R reset;      // what a hard reset sets v to
    R alpha;      // sharpness of the surrogate
    bool decay_input;
};

// Values within a step that its derivatives need; a neuron without a complementary potential leaves the last three.
template <class R>
struct Step {
    R u;         // v after charging, before the reset
    R spike;     // 0 or 1
    R u_leak;    // du/dleak, for PLIF
    R m_before;  // m before the step
    R p;         // sigmoid(u / tau), by which m shrinks
    R q;         // sigmoid(m) after the step, which the reset takes from v
};

template <class R>
CLIF_INLINE R fires(R u, const Constants<R>& c) {
    return u - c.threshold >= 0 ? R(1) : R(0);
}

// The first half of a step forward: charge, form and fire. Puts u in place of v, and advances m.
//
// A step is cut in two because each half has one sigmoid, a long chain of operations that wait for each other: a loop
// over one half leaves the processor room to work on several elements at a time.
template <class Kind, class Arithmetic, class R>
CLIF_INLINE Step<R> charge(R x, R& v, R& m, const Constants<R>& c) {
    Step<R> step;
    if constexpr (Kind::learns_leak) {
        const R distance = Kind::hard_reset ? v - c.reset : v;
        step.u_leak = c.decay_input ? x - distance : -distance;
    }
    step.u = Kind::hard_reset ? v - (v - c.reset) * c.leak + x * c.gain : v * c.keep + x * c.gain;
    step.spike = fires(step.u, c);
    if constexpr (Kind::has_m) {
        step.m_before = m;
        step.p = sigmoid<Arithmetic>(step.u * c.leak);
        m = m * step.p + step.spike;
    }
    v = step.u;
    return step;
}

// The second half: reset. Puts v after the step in place of u; returns q.
template <class Kind, class Arithmetic, class R>
CLIF_INLINE R reset(R& v, R m, const Constants<R>& c) {
    const R u = v;
    const R spike = fires(u, c);
    v = Kind::hard_reset ? (1 - spike) * u + spike * c.reset : u - spike * c.subtract;
    R q = 0;
    if constexpr (Kind::has_m) {
        q = sigmoid<Arithmetic>(m);
        v -= spike * q;
    }
    return q;
}

// One step backward: from the gradients of the spike (ds) and of v and m after the step to those of v and m before it,
// in place. Returns the gradient of u.
template <class Kind, class Surrogate, class Arithmetic, class R>
CLIF_INLINE R retreat(const Step<R>& step, R ds, R& dv, R& dm, const Constants<R>& c) {
    const R s = step.spike;
    R v_spike = Kind::hard_reset ? c.reset - step.u : -c.subtract;  // dv/ds in the reset
    if constexpr (Kind::has_m) {
        v_spike -= step.q;
        dm -= dv * s * step.q * (1 - step.q);
        ds += dm;
    }
    if constexpr (!Kind::detach_reset) ds += dv * v_spike;
    R du = Kind::hard_reset ? dv * (1 - s) : dv;
    du += ds * Surrogate::template derivative<Arithmetic>(step.u - c.threshold, c.alpha);
    if constexpr (Kind::has_m) {
        du += dm * step.m_before * step.p * (1 - step.p) * c.leak;
        dm *= step.p;
    }
    dv = du * c.keep;
    return du;
}

// What replaces the derivative of the Heaviside step at x = u - v_threshold; see `clif.surrogate`.
struct Rectangle {
    template <class Arithmetic, class R>
    static CLIF_INLINE R derivative(R x, R alpha) {
        const R distance = x < 0 ? -x : x;
        return distance <= alpha / 2 ? 1 / alpha : R(0);
    }
};

struct Sigmoid {
    template <class Arithmetic, class R>
    static CLIF_INLINE R derivative(R x, R alpha) {
        const R s = sigmoid<Arithmetic>(alpha * x);
        return alpha * s * (1 - s);
    }
};

struct Triangle {
    template <class Arithmetic, class R>
    static CLIF_INLINE R derivative(R x, R alpha) {
        const R height = 1 - alpha * (x < 0 ? -x : x);
        return alpha * (height < 0 ? R(0) : height);
    }
};

struct ATan {
    template <class Arithmetic, class R>
    static CLIF_INLINE R derivative(R x, R alpha) {
        const R slope = static_cast<R>(1.57079632679489661923) * alpha * x;
        return alpha / 2 / (1 + slope * slope);
    }
};

}  // namespace clif
