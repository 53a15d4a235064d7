// The loops of a neuron around the equations of one step, which clif.generate writes (structs Forward and Backward).
//
// The neurons are computed strip by strip. A strip has several `Number`s: enough that the processor need not wait for
// one result, and so few that their states stay in registers while the strip runs through all steps. The backward pass
// computes the steps again and writes the values that the derivatives need to a tape, which fits the first cache; then
// it goes back over the tape. Lambdas are always inlined, as functions are.
#pragma once

#include "functions.hpp"
#include "unit.hpp"

namespace clif::CLIF_ISA {

// Kinds of steps: any step; the first step from rest, if states are 0; the last step, if its states are not wanted and
// no gradient comes from them.
struct Any {};
struct FromRest {};
struct Last {};

template <class R>
constexpr std::ptrdiff_t lanes = sizeof(Number<R>) / sizeof(R);

template <class R>
CLIF_INLINE Number<R> load_state(const State<R>& state, std::ptrdiff_t neuron) {
    if (state.data == nullptr) return R(0);
    return state.stride ? load(state.data + neuron, All{}) : Number<R>(*state.data);
}

// Prefetches a strip's part of a row to the second cache: the first has no room for it beside the current strip.
template <std::ptrdiff_t size, class S>
CLIF_INLINE void fetch(const S* row) {
#if defined(__GNUC__)
    constexpr int second_cache = 2;  // the builtin's number for it
    constexpr std::ptrdiff_t line = 64 / sizeof(S);
    for (std::ptrdiff_t i = 0; i < size; i += line) __builtin_prefetch(row + i, 0, second_cache);
#endif
}

// The input of a strip that begins at `neuron`, at one step.
template <bool has_norm, class S>
class Input {
    using R = Compute<S>;

public:
    CLIF_INLINE Input(const NeuronLayer<S>& layer, std::ptrdiff_t step, std::ptrdiff_t neuron)
        : x_(layer.x.at(step, neuron)) {
        if constexpr (has_norm) {
            const std::ptrdiff_t at = layer.norm.at(step, neuron);
            scale_ = layer.norm.scale + at;
            shift_ = layer.norm.shift + at;
        }
    }

    CLIF_INLINE Number<R> at(int i) const {
        const Number<R> x = load(x_ + i * lanes<R>, All{});
        if constexpr (has_norm) return x * load(scale_ + i * lanes<R>, All{}) + load(shift_ + i * lanes<R>, All{});
        else return x;
    }

private:
    const S* x_;
    const R *scale_ = nullptr, *shift_ = nullptr;
};

// The incoming gradient of a strip's spikes at one step.
template <class S>
struct Incoming {
    const S* d_spike;

    CLIF_INLINE auto at(int i) const { return load(d_spike + i * lanes<Compute<S>>, All{}); }
};

// The coefficients by channel of a strip that begins at `neuron`.
template <class R>
class Channels {
public:
    template <class Program, class S>
    CLIF_INLINE Channels(Program, const NeuronLayer<S>& layer, std::ptrdiff_t neuron) {
        for (int j = 0; j < Program::coefficients; ++j)
            if (Program::by_channel[j])
                rows_[j] = layer.coefficient[j].data + (layer.offset + neuron) % layer.coefficient[j].period;
    }

    CLIF_INLINE Number<R> operator()(int j, int i) const { return load(rows_[j] + i * lanes<R>, All{}); }

private:
    const R* rows_[most_coefficients];
};

template <class Program, class S>
CLIF_INLINE auto uniforms_of(const NeuronLayer<S>& layer) {
    using R = Compute<S>;
    const R* coefficients[most_coefficients];
    for (int j = 0; j < Program::coefficients; ++j) coefficients[j] = layer.coefficient[j].data;
    return typename Program::template Uniforms<R>(layer.constants, coefficients);
}

// Calls advance(kind, t) for all steps t, each with the kind that takes the least work.
template <class Program, class Advance>
CLIF_INLINE void over_steps(std::ptrdiff_t steps, bool from_rest, bool light_end, const Advance& advance) {
    const std::ptrdiff_t last = steps - 1;
    std::ptrdiff_t t = 0;
    if constexpr (Program::starts_from_rest)
        if (from_rest && !(light_end && last == 0)) advance(FromRest(), t++);
    for (; t < last + !light_end; ++t) advance(Any(), t);
    if (light_end) advance(Last(), last);
}

template <class Program, bool has_norm, class S>
void forward_strips(const NeuronLayer<S>& layer, std::ptrdiff_t first, std::ptrdiff_t end) {
    using R = Compute<S>;
    constexpr int numbers = forward_numbers<S>;
    constexpr std::ptrdiff_t strip = numbers * lanes<R>;
    const auto h = uniforms_of<Program>(layer);
    const bool light_end = layer.last[0] == nullptr;
    for (; first < end; first += strip) {
        const Channels<R> k(Program(), layer, first);
        typename Program::template States<R, numbers> s;
        for (int j = 0; j < Program::states; ++j)
            over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
                s[j][i] = load_state(layer.state[j], first + i * lanes<R>);
            });
        const auto advance = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
            const Input<has_norm, S> x(layer, t, first);
            S* const spike = layer.spike.at(t, first);
            fetch<strip>(layer.x.at(t, first + strip));
            const auto fire = [&](int i, auto fires) CLIF_INLINE_LAMBDA {
                write_output(spike + i * lanes<R>, fires, layer.past_cache);
            };
            Program::template advance<R, numbers>(kind, x, s, h, k, fire);
        };
        over_steps<Program>(layer.steps, layer.from_rest, light_end, advance);
        if (layer.last[0] == nullptr) continue;
        for (int j = 0; j < Program::states; ++j)
            over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
                store(layer.last[j] + first + i * lanes<R>, s[j][i], All{});
            });
    }
}

// Sums the gradients of the neurons' input at one step over each channel, for the batch norm before them.
template <bool has_norm, class S>
class Sums {
    using R = Compute<S>;

public:
    CLIF_INLINE Sums(const NeuronLayer<S>& layer, std::ptrdiff_t step, std::ptrdiff_t neuron, R* sums) {
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

template <class Program, bool has_norm, class S>
void backward_strips(const NeuronLayer<S>& layer, std::ptrdiff_t first, std::ptrdiff_t end,
                     const Scratch<Compute<S>>& scratch) {
    using R = Compute<S>;
    using N = Number<R>;
    constexpr int numbers = backward_numbers<S>;
    constexpr std::ptrdiff_t strip = numbers * lanes<R>, plane = Program::planes * numbers;
    static constexpr S no_gradient[strip]{};
    const auto h = uniforms_of<Program>(layer);
    bool light_end = true;
    for (int j = 0; j < Program::states; ++j) light_end = light_end && layer.d_last[j] == nullptr;
    N* const tape = reinterpret_cast<N*>(scratch.tape);
    for (; first < end; first += strip) {
        const Channels<R> k(Program(), layer, first);
        typename Program::template States<R, numbers> s;
        for (int j = 0; j < Program::states; ++j)
            over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
                s[j][i] = load_state(layer.state[j], first + i * lanes<R>);
            });
        const auto advance = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
            const Input<has_norm, S> x(layer, t, first);
            fetch<strip>(layer.x.at(t, first + strip));
            if (layer.d_spike.data != nullptr) fetch<strip>(layer.d_spike.at(t, first + strip));
            Program::template record<R, numbers>(kind, x, s, h, k, tape + t * plane);
        };
        over_steps<Program>(layer.steps, layer.from_rest, light_end, advance);

        typename Program::template States<R, numbers> d;
        typename Program::template Coefficients<R, numbers> d_k;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            for (int j = 0; j < Program::states; ++j)
                d[j][i] = load_state(State<R>{layer.d_last[j], 1}, first + i * lanes<R>);
            for (int j = 0; j < Program::coefficients; ++j) d_k[j][i] = R(0);
        });
        const auto go_back = [&](auto kind, std::ptrdiff_t t) CLIF_INLINE_LAMBDA {
            const Input<has_norm, S> x(layer, t, first);
            const Incoming<S> d_spike{layer.d_spike.data ? layer.d_spike.at(t, first) : no_gradient};
            S* const dx = layer.dx.at(t, first);
            const Sums<has_norm, S> sums(layer, t, first, scratch.norm_sums);
            const auto write_dx = [&](int i, N dx_i) CLIF_INLINE_LAMBDA {
                write(dx + i * lanes<R>, dx_i, layer.past_cache);
                sums.add(i * lanes<R>, dx_i);
            };
            Program::template retreat<R, numbers>(kind, x, tape + t * plane, d_spike, d, h, k, d_k, write_dx);
        };
        std::ptrdiff_t t = layer.steps - 1;
        if (light_end) go_back(Last(), t--);
        const bool rest = Program::starts_from_rest && layer.from_rest && t >= 0;
        for (; t >= rest; --t) go_back(Any(), t);
        if constexpr (Program::starts_from_rest)
            if (rest) go_back(FromRest(), 0);
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const std::ptrdiff_t at = first + i * lanes<R>;
            for (int j = 0; j < Program::states; ++j)
                if (layer.d_state[j] != nullptr) store(layer.d_state[j] + at, d[j][i], All{});
            for (int j = 0; j < Program::coefficients; ++j) store(layer.d_coefficient[j] + at, d_k[j][i], All{});
        });
    }
}

// The unit of a program, forward and backward, in the storage type S.
template <class Forward, class Backward, class S>
Unit unit_of() {
    using Anonymous = void (*)();
    Unit unit{};
    unit.layout = unit_layout;
    unit.layer_bytes = sizeof(NeuronLayer<S>);
    unit.states = Backward::states;
    unit.coefficients = Backward::coefficients;
    unit.planes = Backward::planes;
    unit.forward_strip = forward_numbers<S> * lanes<Compute<S>>;
    unit.backward_strip = backward_numbers<S> * lanes<Compute<S>>;
    unit.forward[0] = reinterpret_cast<Anonymous>(forward_strips<Forward, false, S>);
    unit.forward[1] = reinterpret_cast<Anonymous>(forward_strips<Forward, true, S>);
    unit.backward[0] = reinterpret_cast<Anonymous>(backward_strips<Backward, false, S>);
    unit.backward[1] = reinterpret_cast<Anonymous>(backward_strips<Backward, true, S>);
    for (int j = 0; j < Backward::states; ++j) unit.rests_at_zero[j] = Backward::rests_at_zero[j];
    return unit;
}

}  // namespace clif::CLIF_ISA
