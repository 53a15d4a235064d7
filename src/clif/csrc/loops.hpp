// The inner loops, compiled once for every instruction set: each of baseline.cpp, avx2.cpp, avx512.cpp and
// avx512_bf16.cpp includes this with CLIF_ISA, the namespace, defined and its numbers declared. A lambda is inlined as
// a function is.
#pragma once

#include "equations.hpp"

namespace clif::CLIF_ISA {

// Whether the halves of a step are loops of their own, as each has a sigmoid.
template <class Kind>
constexpr bool in_halves = Kind::has_m && !Kind::from_rest;

template <class Kind>
constexpr std::int64_t planes = in_halves<Kind> ? 3 : Kind::learns_leak ? 2 : 1;

// Calls work(first, n) for the chunks of a row of `size` elements.
template <class Work>
CLIF_INLINE void over_chunks(std::ptrdiff_t size, std::ptrdiff_t chunk, const Work& work) {
    for (std::ptrdiff_t first = 0; first < size; first += chunk)
        work(first, chunk < size - first ? chunk : size - first);
}

// Fetches what lies at i behind a chunk's first element in the rows that come soon, as far as the second cache: the
// first has no room for them beside the rows at work. It is called between the vectors: a chunk at once would be more
// than the processor keeps track of.
template <class S>
struct Ahead {
    static constexpr int second_cache = 2;  // as __builtin_prefetch numbers it
    const S* soon[2];

    CLIF_INLINE void operator()(std::ptrdiff_t i) const {
#if defined(__GNUC__)
        for (const S* from : soon) __builtin_prefetch(from + i, 0, second_cache);
#endif
    }
};

template <class S>
CLIF_INLINE Ahead<S> ahead_of(const Row<S>& row, std::ptrdiff_t first) {
    return {row.soon[0] + first, row.soon[1] + first};
}

// The first halves of the steps of a chunk; where neither half has a sigmoid, the second ones as well.
template <class Kind, bool to_tape, bool has_norm, class S>
CLIF_INLINE void charge_chunk(const Row<S>& row, const Repeated<Compute<S>>& c, std::ptrdiff_t first,
                              std::ptrdiff_t n) {
    using R = Compute<S>;
    using N = Number<R>;
    R* const v = row.v + first;
    R* const tape = row.tape + planes<Kind> * first;
    over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
        N x = load(row.x + first + i, which);
        if constexpr (has_norm) x = x * load(row.norm.scale + i, which) + load(row.norm.shift + i, which);
        N v_i = load(v + i, which);
        N m = R(0);
        if constexpr (in_halves<Kind>) m = load(row.m + first + i, which);
        Step<N> step;
        const auto fires = charge<Kind, R>(x, v_i, m, step, c);
        if constexpr (to_tape) {
            store(tape + i, step.u, which);
            if constexpr (Kind::learns_leak) store(tape + n + i, step.u_leak, which);
            if constexpr (in_halves<Kind>) store(tape + n + i, step.p, which);
        } else {
            write_spike(row.spike + first + i, fires, which, row.past_cache);
        }
        if constexpr (Kind::has_m) store(row.m_after + first + i, m, which);
        if constexpr (!in_halves<Kind>) reset<Kind, R>(v_i, m, c);
        if constexpr (!(in_halves<Kind> && to_tape)) store(v + i, v_i, which);
    }, ahead_of(row, first));
}

// Advance the state by one row and write either its spikes or its tape.
template <class Kind, bool to_tape, class S>
void forward_row(const Row<S>& row) {
    using R = Compute<S>;
    const Repeated<R> c(*row.constants);
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        if (row.norm.scale == nullptr) charge_chunk<Kind, to_tape, false>(row, c, first, n);
        else charge_chunk<Kind, to_tape, true>(row, c, first, n);
        if constexpr (in_halves<Kind>) {
            R* const v = row.v + first;
            R* const tape = row.tape + planes<Kind> * first;
            over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
                Number<R> v_i = load(to_tape ? tape + i : v + i, which);
                const Number<R> q = reset<Kind, R>(v_i, load(row.m_after + first + i, which), c);
                store(v + i, v_i, which);
                if constexpr (to_tape) store(tape + 2 * n + i, q, which);
            });
        }
    });
}

// Take the gradients back by one row, from its tape.
template <class Kind, class Surrogate, bool has_norm, class S>
void backward_row_of(const Row<S>& row) {
    using R = Compute<S>;
    using N = Number<R>;
    const Repeated<R> c(*row.constants);
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        const R* const tape = row.tape + planes<Kind> * first;
        const S* const x = row.x + first;
        const S* const d_spike = row.d_spike + first;
        S* const dx = row.dx + first;
        R* const dv = row.dv + first;
        R* const dm = row.dm + first;
        R* const d_leak = row.d_leak + first;
        const Norm<R> norm = row.norm;
        over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
            Step<N> step;
            step.u = load(tape + i, which);
            if constexpr (Kind::learns_leak) step.u_leak = load(tape + n + i, which);
            if constexpr (in_halves<Kind>) {
                step.m_before = load(row.m + first + i, which);
                step.p = load(tape + n + i, which);
                step.q = load(tape + 2 * n + i, which);
            }
            N dv_i = load(dv + i, which);
            N dm_i = R(0);
            if constexpr (Kind::has_m) dm_i = load(dm + i, which);
            const N du = retreat<Kind, Surrogate, R>(step, load(d_spike + i, which), dv_i, dm_i, c);
            const N dx_i = c.scaled_by_gain(du);
            write(dx + i, dx_i, which, row.past_cache);
            store(dv + i, dv_i, which);
            if constexpr (Kind::has_m) store(dm + i, dm_i, which);
            if constexpr (Kind::learns_leak) store(d_leak + i, load(d_leak + i, which) + du * step.u_leak, which);
            if constexpr (has_norm) {
                const N distance = load(x + i, which) - load(norm.mean + i, which);
                store(norm.sum + i, load(norm.sum + i, which) + dx_i, which);
                store(norm.sum_x + i, load(norm.sum_x + i, which) + dx_i * distance, which);
            }
        }, ahead_of(row, first));
    });
}

template <class Kind, class Surrogate, class S>
void backward_row(const Row<S>& row) {
    if (row.norm.sum == nullptr) backward_row_of<Kind, Surrogate, false>(row);
    else backward_row_of<Kind, Surrogate, true>(row);
}

template <class S>
void norm_statistics_row(const NormRow<S>& row) {
    using R = Compute<S>;
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
            const Number<R> distance = load(row.x + first + i, which) - load(row.pivot + i, which);
            store(row.sum + i, load(row.sum + i, which) + distance, which);
            store(row.square + i, load(row.square + i, which) + distance * distance, which);
        });
    });
}

template <class S>
void norm_backward_row(const NormRow<S>& row) {
    using R = Compute<S>;
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        S* const dx = row.dx + first;
        over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
            const Number<R> scaled_dx = load(dx + i, which) * load(row.of_dx + i, which);
            const Number<R> scaled_x = load(row.x + first + i, which) * load(row.of_x + i, which);
            store(dx + i, scaled_dx + scaled_x + load(row.constant + i, which), which);
        });
    });
}

template <class S>
std::int64_t pack(const Spikes<S>& spikes) {
    using R = Compute<S>;
    const R height = widen(spikes.height);
    std::int64_t strange = 0;
    for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
        const S* __restrict x = spikes.elements + first;
        const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
        std::uint64_t word = 0;
#pragma omp simd reduction(| : word) reduction(+ : strange)
        for (std::int64_t i = 0; i < n; ++i) {
            const R x_i = widen(x[i]);
            const bool fired = x_i != 0;
            strange += fired && x_i != height;
            word |= static_cast<std::uint64_t>(fired) << i;
        }
        spikes.words[first / word_bits] = word;
    }
    return strange;
}

template <class S>
void unpack(const Spikes<S>& spikes) {
    for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
        S* __restrict x = spikes.elements + first;
        const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
        const std::uint64_t word = spikes.words[first / word_bits];
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) x[i] = (word >> i) & 1 ? spikes.height : S{};
    }
}

// Sums over two rows at a time, separately, so that an addition need not wait for the one before.
template <class R>
void add_rows(const RowSums<R>& sums) {
    constexpr std::ptrdiff_t size = sizeof(Number<R>) / sizeof(R), numbers = row_block<R> / size;
    for (std::ptrdiff_t row = 0; row < sums.count; ++row) {
        const Range range = sums.ranges[row];
        if (range.begin == range.end) continue;
        R* const to = sums.to + row * row_block<R>;
        Number<R> even[numbers], odd[numbers];
        for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] = odd[k] = R(0);
        std::uint32_t i = range.begin;
        for (; i + 1 < range.end; i += 2) {
            const R *const a = sums.from + sums.places[i], *const b = sums.from + sums.places[i + 1];
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] += load(a + k * size, All{});
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) odd[k] += load(b + k * size, All{});
        }
        if (i < range.end) {
            const R* const a = sums.from + sums.places[i];
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] += load(a + k * size, All{});
        }
        for (std::ptrdiff_t k = 0; k < numbers; ++k)
            store(to + k * size, load(to + k * size, All{}) + (even[k] + odd[k]), All{});
    }
}

// What of a neuron is known when its loops are compiled.
enum class Neuron { clif, lif, plif };

template <Neuron neuron, bool hard_reset_, bool detach_reset_ = false, bool from_rest_ = false>
struct Kind {
    static constexpr bool hard_reset = hard_reset_, detach_reset = detach_reset_;
    static constexpr bool has_m = neuron == Neuron::clif, learns_leak = neuron == Neuron::plif;
    static constexpr bool from_rest = from_rest_;  // m is 0 before the step, and nobody asks for its gradient there
};

template <class Kind, class S>
auto backward_row_for(const Problem& p) {
    switch (p.surrogate) {
        case 0: return backward_row<Kind, Rectangle, S>;
        case 1: return backward_row<Kind, Sigmoid, S>;
        case 2: return backward_row<Kind, Triangle, S>;
        default: return backward_row<Kind, ATan, S>;
    }
}

template <Neuron neuron, bool hard_reset, bool from_rest, class S>
StepLoops<S> step_loops(const Problem& p) {
    using Attached = Kind<neuron, hard_reset, false, from_rest>;
    using Detached = Kind<neuron, hard_reset, true, from_rest>;
    return {forward_row<Attached, false, S>, forward_row<Attached, true, S>,
            p.detach_reset ? backward_row_for<Detached, S>(p) : backward_row_for<Attached, S>(p)};
}

template <Neuron neuron, bool hard_reset, class S>
NeuronLoops<S> loops_of_kind(const Problem& p) {
    using Any = Kind<neuron, hard_reset>;
    const StepLoops<S> any = step_loops<neuron, hard_reset, false, S>(p);
    if constexpr (Any::has_m)
        return {true,
                false,
                planes<Any>,
                step_loops<neuron, hard_reset, true, S>(p),
                any,
                step_loops<Neuron::lif, hard_reset, false, S>(p)};
    else return {false, Any::learns_leak, planes<Any>, any, any, any};
}

template <Neuron neuron, class S>
NeuronLoops<S> loops_of_neuron(const Problem& p) {
    return p.hard_reset ? loops_of_kind<neuron, true, S>(p) : loops_of_kind<neuron, false, S>(p);
}

template <class S>
NeuronLoops<S> neuron_loops(const Problem& p) {
    switch (p.neuron) {
        case 0: return loops_of_neuron<Neuron::clif, S>(p);
        case 1: return loops_of_neuron<Neuron::lif, S>(p);
        default: return loops_of_neuron<Neuron::plif, S>(p);
    }
}

template <class S>
Loops<S> loops() {
    return {neuron_loops<S>, norm_statistics_row<S>, norm_backward_row<S>, pack<S>, unpack<S>, add_rows<Compute<S>>};
}

#ifndef CLIF_BFLOAT16_ONLY
template Loops<float> loops<float>();
template Loops<double> loops<double>();
#endif
template Loops<Bfloat16> loops<Bfloat16>();

}  // namespace clif::CLIF_ISA
