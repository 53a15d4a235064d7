// A unit: the loops of one neuron for one storage type and instruction set, and the layer that they compute.
//
// A unit is compiled from a neuron's equations (clif.generate), into this library or into one of its own. The library
// itself (layer.hpp) has the threads, the last neurons of a layer and the sums of a batch norm.
#pragma once

#include "work.hpp"

namespace clif {

constexpr int most_states = 8, most_coefficients = 16;

// Numbers that a neuron learns: one for the layer (period 0), or a row of `period` numbers that repeats over the
// neurons. The first numbers follow the row again, so that a strip may begin anywhere in it.
template <class R>
struct Coefficient {
    const R* data;
    std::ptrdiff_t period;
};

// A layer of neurons over a whole sequence. Sequences have the storage type S; states, constants and coefficients have
// the type of computation.
template <class S>
struct NeuronLayer {
    using R = Compute<S>;
    std::ptrdiff_t steps;
    std::ptrdiff_t offset;  // neurons of the tensor before neuron 0
    Sequence<const S> x;
    State<R> state[most_states];
    Sequence<S> spike;                // forward, out
    R* last[most_states];             // forward, out: may be null, if all of them are
    Sequence<const S> d_spike;        // backward, in: the incoming gradients; null means zero
    const R* d_last[most_states];
    Sequence<S> dx;                   // backward, out
    R* d_state[most_states];          // backward, out: may be null
    R* d_coefficient[most_coefficients];  // backward, out: neuron by neuron, summed over the steps
    Norm<R> norm;
    const R* constants;
    Coefficient<R> coefficient[most_coefficients];
    bool from_rest;   // states that rest at 0 are 0 before the first step, and no gradient of the states is wanted
    bool past_cache;  // spikes and dx are written past the caches; their rows and strips begin at cache lines
};

constexpr std::int64_t unit_layout = 1;  // changes if the library can no longer call units that were compiled before

// The loops over the neurons [first, end) of a layer, a whole number of strips: [0] without, [1] with a batch norm.
struct Unit {
    std::int64_t layout, layer_bytes;
    std::int32_t states, coefficients, planes;
    std::int32_t forward_strip, backward_strip;
    // void (*)(const NeuronLayer<S>&, ptrdiff_t first, ptrdiff_t end) and, backward, with a const Scratch<Compute<S>>&.
    void (*forward[2])();
    void (*backward[2])();
    std::int32_t rests_at_zero[most_states];
};

template <class S>
using ForwardRun = void (*)(const NeuronLayer<S>&, std::ptrdiff_t first, std::ptrdiff_t end);

template <class S>
using BackwardRun = void (*)(const NeuronLayer<S>&, std::ptrdiff_t first, std::ptrdiff_t end,
                             const Scratch<Compute<S>>&);

}  // namespace clif
