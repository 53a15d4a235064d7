// The inner loops: one time step of one block of neurons, a "row". Each loop is a struct with a static `run`, which
// `compile_for` turns into a function for the instruction set at hand.
#pragma once

#include <cstddef>

#include "equations.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define CLIF_X86 1
#define CLIF_TARGET(features) __attribute__((target(features)))
#endif

namespace clif {

// One row of `size` elements. The tape keeps what a step's derivatives need, one plane after the other, in the order
// u, m_before, p, q for CLIF; u, u_leak for PLIF; u for LIF.
template <class S>
struct Row {
    using R = Compute<S>;
    std::ptrdiff_t size;
    const S* x;        // forward: the input
    S* spike;          // forward: the spikes
    R* v;              // forward: the state
    R* m;
    R* tape;           // [planes, size]
    const S* d_spike;  // backward: the incoming gradient of the spikes; null stands for zero
    S* dx;             // backward: the gradient of the input
    R* dv;             // backward: the gradients of the state
    R* dm;
    R* d_leak;         // backward: the gradient of 1/tau, summed over the steps (PLIF)
    const Constants<R>* constants;
};

template <class S>
using RowFunction = void (*)(const Row<S>&);

constexpr int planes(Neuron neuron) { return neuron == Neuron::clif ? 4 : neuron == Neuron::plif ? 2 : 1; }

// Advance the state by one row and write either its spikes or its tape.
template <Neuron neuron, bool hard_reset, bool to_tape, class S>
struct ForwardRow {
    static CLIF_INLINE void run(const Row<S>& row) {
        using R = Compute<S>;
        const Constants<R> c = *row.constants;
        const std::ptrdiff_t n = row.size;
        const S* __restrict x = row.x;
        R* __restrict v = row.v;
        R* __restrict m = row.m;
        S* __restrict spike = row.spike;
        R* __restrict tape = row.tape;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            R v_i = v[i];
            R m_i = neuron == Neuron::clif ? m[i] : R(0);
            const Step<R> step = advance<neuron, hard_reset>(load(x[i]), v_i, m_i, c);
            v[i] = v_i;
            if constexpr (neuron == Neuron::clif) m[i] = m_i;
            if constexpr (to_tape) {
                tape[i] = step.u;
                if constexpr (neuron == Neuron::plif) tape[n + i] = step.u_leak;
                if constexpr (neuron == Neuron::clif) {
                    tape[n + i] = step.m_before;
                    tape[2 * n + i] = step.p;
                    tape[3 * n + i] = step.q;
                }
            } else {
                spike[i] = store_spike<S>(step.spike);
            }
        }
    }
};

// Take the gradients back by one row, from its tape.
template <Neuron neuron, class Surrogate, bool with_d_spike, class S>
struct BackwardRow {
    static CLIF_INLINE void run(const Row<S>& row) {
        using R = Compute<S>;
        const Constants<R> c = *row.constants;
        const std::ptrdiff_t n = row.size;
        const R* __restrict tape = row.tape;
        const S* __restrict d_spike = row.d_spike;
        S* __restrict dx = row.dx;
        R* __restrict dv = row.dv;
        R* __restrict dm = row.dm;
        R* __restrict d_leak = row.d_leak;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            Step<R> step;
            step.u = tape[i];
            step.spike = fires(step.u, c);
            if constexpr (neuron == Neuron::plif) step.u_leak = tape[n + i];
            if constexpr (neuron == Neuron::clif) {
                step.m_before = tape[n + i];
                step.p = tape[2 * n + i];
                step.q = tape[3 * n + i];
            }
            R dv_i = dv[i];
            R dm_i = neuron == Neuron::clif ? dm[i] : R(0);
            R ds = R(0);
            if constexpr (with_d_spike) ds = load(d_spike[i]);
            const R du = retreat<neuron, Surrogate>(step, ds, dv_i, dm_i, c);
            dx[i] = store<S>(du * c.gain);
            dv[i] = dv_i;
            if constexpr (neuron == Neuron::clif) dm[i] = dm_i;
            if constexpr (neuron == Neuron::plif) d_leak[i] += du * step.u_leak;
        }
    }
};

// Instruction sets, the best one last. `baseline` is whatever the compiler was told to build for.
enum class Isa { baseline, avx2, avx512 };

inline Isa best_isa() {
#ifdef CLIF_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return Isa::avx512;
    if (__builtin_cpu_supports("avx2")) return Isa::avx2;
#endif
    return Isa::baseline;
}

template <class Loop, class S>
void run_baseline(const Row<S>& row) {
    Loop::run(row);
}

#ifdef CLIF_X86
template <class Loop, class S>
CLIF_TARGET("avx2")
void run_avx2(const Row<S>& row) {
    Loop::run(row);
}

template <class Loop, class S>
CLIF_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
void run_avx512(const Row<S>& row) {
    Loop::run(row);
}
#endif

template <class Loop, class S>
RowFunction<S> compile_for(Isa isa) {
#ifdef CLIF_X86
    if (isa == Isa::avx512) return run_avx512<Loop, S>;
    if (isa == Isa::avx2) return run_avx2<Loop, S>;
#endif
    return run_baseline<Loop, S>;
}

}  // namespace clif
