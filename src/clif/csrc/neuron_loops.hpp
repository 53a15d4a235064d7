// The inner loops of the neurons, compiled once for every instruction set (see loops.hpp).
//
// The neurons are done strip by strip. A strip is a few numbers N, so many that the processor need not wait for one of
// them and so few that their state stays in registers while the strip runs through all steps. Backward, the steps are
// computed once more and what their derivatives need is put down on a tape, small enough for the nearest cache; then
// the strip goes back over it. A lambda is inlined as a function is.
#pragma once

#include "equations.hpp"

namespace clif::CLIF_ISA {

// What of a neuron is known when its loops are compiled.
enum class Neuron { clif, lif, plif };

template <Neuron neuron, bool hard_reset_, bool from_rest_ = false>
struct Kind {
    static constexpr bool hard_reset = hard_reset_;
    static constexpr bool has_m = neuron == Neuron::clif, learns_leak = neuron == Neuron::plif;
    static constexpr bool from_rest = from_rest_;  // m is 0 before the step, and nobody asks for its gradient there
};

// The kinds of a neuron's steps: any, and two that take less work. A step from rest, where m is 0, has no sigmoid to
// compute; nor has the last step, where nobody wants v and m after it or, backward, no gradient comes from them: there
// CLIF is LIF.
template <Neuron neuron, bool hard_reset>
struct Steps {
    using Any = Kind<neuron, hard_reset>;
    using FromRest = Kind<neuron, hard_reset, Any::has_m>;
    using Last = std::conditional_t<Any::has_m, Kind<Neuron::lif, hard_reset>, Any>;
};

// Whether the halves of a step are loops of their own, as each has a sigmoid.
template <class Kind>
constexpr bool in_halves = Kind::has_m && !Kind::from_rest;

template <class Kind>
constexpr std::ptrdiff_t planes = in_halves<Kind> ? 4 : Kind::learns_leak ? 2 : 1;

template <class R>
constexpr std::ptrdiff_t lanes = sizeof(Number<R>) / sizeof(R);

template <class R>
CLIF_INLINE Number<R> load_state(const State<R>& state, std::ptrdiff_t neuron) {
    if (state.data == nullptr) return R(0);
    return state.stride ? load(state.data + neuron, All{}) : Number<R>(*state.data);
}

// Fetches a strip's part of a row, as far as the second cache: the first has no room for it beside the strip at work.
template <std::ptrdiff_t size, class S>
CLIF_INLINE void fetch(const S* row) {
#if defined(__GNUC__)
    constexpr int second_cache = 2;  // as the builtin numbers it
    constexpr std::ptrdiff_t line = 64 / sizeof(S);
    for (std::ptrdiff_t i = 0; i < size; i += line) __builtin_prefetch(row + i, 0, second_cache);
#endif
}

// The input of the neurons from `neuron` on at one step.
template <bool has_norm, class S>
class Input {
    using R = Compute<S>;

public:
    CLIF_INLINE Input(const Layer<S>& layer, std::ptrdiff_t step, std::ptrdiff_t neuron)
        : x_(layer.x.at(step, neuron)) {
        if constexpr (has_norm) {
            const std::ptrdiff_t at = layer.norm.at(step, neuron);
            scale_ = layer.norm.scale + at;
            shift_ = layer.norm.shift + at;
        }
    }

    CLIF_INLINE Number<R> at(std::ptrdiff_t i) const {
        const Number<R> x = load(x_ + i, All{});
        if constexpr (has_norm) return x * load(scale_ + i, All{}) + load(shift_ + i, All{});
        else return x;
    }

private:
    const S* x_;
    const R *scale_ = nullptr, *shift_ = nullptr;
};

// Calls advance(kind, t) for all steps t, each as the kind that takes the least work.
template <class Kinds, class Advance>
CLIF_INLINE void over_steps(std::ptrdiff_t steps, bool from_rest, bool light_end, const Advance& advance) {
    const std::ptrdiff_t last = steps - 1;
    std::ptrdiff_t t = 0;
    if (Kinds::Any::has_m && from_rest && !(light_end && last == 0)) advance(typename Kinds::FromRest(), t++);
    for (; t < last + !light_end; ++t) advance(typename Kinds::Any(), t);
    if (light_end) advance(typename Kinds::Last(), last);
}

template <Neuron neuron, bool hard_reset, bool has_norm, class S>
void forward_strips(const Layer<S>& layer, std::ptrdiff_t first, std::ptrdiff_t end) {
    using R = Compute<S>;
    using N = Number<R>;
    using Kinds = Steps<neuron, hard_reset>;
    constexpr int numbers = forward_numbers<S>;
    constexpr std::ptrdiff_t strip = numbers * lanes<R>;
    const Repeated<R> c(layer.constants);
    const bool light_end = Kinds::Any::has_m && layer.v_last == nullptr;
    for (; first < end; first += strip) {
        N v[numbers], m[numbers];
        over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
            v[k] = load_state(layer.v, first + k * lanes<R>);
            m[k] = load_state(layer.m, first + k * lanes<R>);
        });
        const auto advance = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
            using Kind = decltype(kind);
            const Input<has_norm, S> x(layer, t, first);
            S* const spike = layer.spike.at(t, first);
            fetch<strip>(layer.x.at(t, first + strip));
            over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
                Step<N> step;
                const auto fires = charge<Kind, R>(x.at(k * lanes<R>), v[k], m[k], step, c);
                write_spike(spike + k * lanes<R>, fires, layer.past_cache);
                if constexpr (!in_halves<Kind>) reset<Kind, R>(v[k], m[k], c);
            });
            if constexpr (in_halves<Kind>)
                over<numbers>([&](int k) CLIF_INLINE_LAMBDA { reset<Kind, R>(v[k], m[k], c); });
        };
        over_steps<Kinds>(layer.steps, layer.from_rest, light_end, advance);
        if (layer.v_last == nullptr) continue;
        over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
            store(layer.v_last + first + k * lanes<R>, v[k], All{});
            if constexpr (Kinds::Any::has_m) store(layer.m_last + first + k * lanes<R>, m[k], All{});
        });
    }
}

// Runs a strip's steps and puts on the tape what their derivatives need.
template <class Kinds, bool has_norm, int numbers, class S>
CLIF_INLINE void record(const Layer<S>& layer, std::ptrdiff_t first, bool light_end, const Repeated<Compute<S>>& c,
                        Number<Compute<S>>* tape) {
    using R = Compute<S>;
    using N = Number<R>;
    constexpr std::ptrdiff_t strip = numbers * lanes<R>;
    N v[numbers], m[numbers];
    over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
        v[k] = load_state(layer.v, first + k * lanes<R>);
        m[k] = load_state(layer.m, first + k * lanes<R>);
    });
    const auto advance = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
        using Kind = decltype(kind);
        const Input<has_norm, S> x(layer, t, first);
        N* const at = tape + t * planes<typename Kinds::Any> * numbers;
        fetch<strip>(layer.x.at(t, first + strip));
        if (layer.d_spike.data != nullptr) fetch<strip>(layer.d_spike.at(t, first + strip));
        over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
            Step<N> step;
            charge<Kind, R>(x.at(k * lanes<R>), v[k], m[k], step, c);
            at[k] = step.u;
            if constexpr (Kind::learns_leak) at[numbers + k] = step.u_leak;
            if constexpr (in_halves<Kind>) {
                at[numbers + k] = step.p;
                at[2 * numbers + k] = step.m_u;
            } else {
                reset<Kind, R>(v[k], m[k], c);
            }
        });
        if constexpr (in_halves<Kind>)
            over<numbers>([&](int k) CLIF_INLINE_LAMBDA { at[3 * numbers + k] = reset<Kind, R>(v[k], m[k], c); });
    };
    over_steps<Kinds>(layer.steps, layer.from_rest, light_end, advance);
}

// Where the gradients of the neurons' input at one step are summed up by channel for the batch norm before them.
template <bool has_norm, class S>
class Sums {
    using R = Compute<S>;

public:
    CLIF_INLINE Sums(const Layer<S>& layer, std::ptrdiff_t step, std::ptrdiff_t neuron, R* sums) {
        if constexpr (has_norm) {
            x_ = layer.x.at(step, neuron);
            mean_ = layer.norm.mean + layer.norm.at(step, neuron);
            sum_ = sums + layer.norm.at(2 * step, neuron);
            sum_x_ = sum_ + layer.norm.stride;
        }
    }

    CLIF_INLINE void add(std::ptrdiff_t i, Number<R> dx) const {
        if constexpr (!has_norm) return;
        const Number<R> distance = load(x_ + i, All{}) - load(mean_ + i, All{});
        store(sum_ + i, load(sum_ + i, All{}) + dx, All{});
        store(sum_x_ + i, load(sum_x_ + i, All{}) + dx * distance, All{});
    }

private:
    const S* x_ = nullptr;
    const R* mean_ = nullptr;
    R *sum_ = nullptr, *sum_x_ = nullptr;
};

template <Neuron neuron, bool hard_reset, bool has_norm, class Surrogate, class S>
void backward_strips(const Layer<S>& layer, std::ptrdiff_t first, std::ptrdiff_t end,
                     const Scratch<Compute<S>>& scratch) {
    using R = Compute<S>;
    using N = Number<R>;
    using Kinds = Steps<neuron, hard_reset>;
    constexpr int numbers = backward_numbers<S>;
    constexpr std::ptrdiff_t strip = numbers * lanes<R>;
    static constexpr S no_gradient[strip]{};
    const Repeated<R> c(layer.constants);
    const bool light_end = Kinds::Any::has_m && layer.d_v_last == nullptr && layer.d_m_last == nullptr;
    N* const tape = reinterpret_cast<N*>(scratch.tape);
    for (; first < end; first += strip) {
        record<Kinds, has_norm, numbers>(layer, first, light_end, c, tape);
        N dv[numbers], dm[numbers], d_leak[numbers];
        over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
            dv[k] = load_state(State<R>{layer.d_v_last, 1}, first + k * lanes<R>);
            dm[k] = load_state(State<R>{layer.d_m_last, 1}, first + k * lanes<R>);
            d_leak[k] = R(0);
        });
        const auto go_back = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
            using Kind = decltype(kind);
            const N* const at = tape + t * planes<typename Kinds::Any> * numbers;
            const S* const d_spike = layer.d_spike.data ? layer.d_spike.at(t, first) : no_gradient;
            S* const dx = layer.dx.at(t, first);
            const Sums<has_norm, S> sums(layer, t, first, scratch.norm_sums);
            over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
                Step<N> step;
                step.u = at[k];
                if constexpr (Kind::learns_leak) step.u_leak = at[numbers + k];
                if constexpr (in_halves<Kind>) {
                    step.p = at[numbers + k];
                    step.m_u = at[2 * numbers + k];
                    step.q = at[3 * numbers + k];
                }
                const N d_spike_k = load(d_spike + k * lanes<R>, All{});
                const N du = retreat<Kind, Surrogate, R>(step, d_spike_k, dv[k], dm[k], c);
                const N dx_k = multiply_if(c.decay_input, du, c.leak);
                write(dx + k * lanes<R>, dx_k, layer.past_cache);
                sums.add(k * lanes<R>, dx_k);
                if constexpr (Kind::learns_leak) d_leak[k] += du * step.u_leak;
            });
        };
        const std::ptrdiff_t last = layer.steps - 1;
        std::ptrdiff_t t = last;
        if (light_end) go_back(typename Kinds::Last(), t--);
        const bool rest = Kinds::Any::has_m && layer.from_rest && t >= 0;
        for (; t >= rest; --t) go_back(typename Kinds::Any(), t);
        if (rest) go_back(typename Kinds::FromRest(), 0);
        over<numbers>([&](int k) CLIF_INLINE_LAMBDA {
            const std::ptrdiff_t i = first + k * lanes<R>;
            if (layer.dv != nullptr) store(layer.dv + i, dv[k], All{});
            if (Kinds::Any::has_m && layer.dm != nullptr) store(layer.dm + i, dm[k], All{});
            if constexpr (Kinds::Any::learns_leak) store(layer.d_leak + i, d_leak[k], All{});
        });
    }
}

// Calls make with the problem's neuron as a type.
template <class Make>
auto by_neuron(const Problem& p, const Make& make) {
    switch (p.neuron) {
        case 0: return make(std::integral_constant<Neuron, Neuron::clif>());
        case 1: return make(std::integral_constant<Neuron, Neuron::lif>());
        case 2: return make(std::integral_constant<Neuron, Neuron::plif>());
        default: throw Unknown{Status::neuron};
    }
}

// Calls make with a value of the problem's surrogate.
template <class Make>
auto by_surrogate(const Problem& p, const Make& make) {
    switch (p.surrogate) {
        case 0: return make(Rectangle());
        case 1: return make(Sigmoid());
        case 2: return make(Triangle());
        case 3: return make(ATan());
        default: throw Unknown{Status::surrogate};
    }
}

template <Neuron neuron, bool has_norm, class S>
auto forward_strips_of(const Problem& p) {
    return p.hard_reset ? forward_strips<neuron, true, has_norm, S> : forward_strips<neuron, false, has_norm, S>;
}

template <Neuron neuron, class S>
ForwardLoop<S> forward_loop_of(const Problem& p) {
    return {forward_numbers<S> * lanes<Compute<S>>,
            p.channels ? forward_strips_of<neuron, true, S>(p) : forward_strips_of<neuron, false, S>(p)};
}

template <class S>
ForwardLoop<S> forward_loop(const Problem& p) {
    by_surrogate(p, [](auto) {});  // backward must know it
    return by_neuron(p, [&](auto neuron) { return forward_loop_of<neuron.value, S>(p); });
}

template <Neuron neuron, bool hard_reset, bool has_norm, class S>
auto backward_strips_for(const Problem& p) {
    return by_surrogate(p, [](auto surrogate) {
        return backward_strips<neuron, hard_reset, has_norm, decltype(surrogate), S>;
    });
}

template <Neuron neuron, bool has_norm, class S>
auto backward_strips_of(const Problem& p) {
    return p.hard_reset ? backward_strips_for<neuron, true, has_norm, S>(p)
                        : backward_strips_for<neuron, false, has_norm, S>(p);
}

template <Neuron neuron, class S>
BackwardLoop<S> backward_loop_of(const Problem& p) {
    return {backward_numbers<S> * lanes<Compute<S>>, planes<Kind<neuron, false>>,
            p.channels ? backward_strips_of<neuron, true, S>(p) : backward_strips_of<neuron, false, S>(p)};
}

template <class S>
BackwardLoop<S> backward_loop(const Problem& p) {
    return by_neuron(p, [&](auto neuron) { return backward_loop_of<neuron.value, S>(p); });
}

}  // namespace clif::CLIF_ISA
