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
template <class R>
struct Row {
    std::ptrdiff_t size;
    const R* x;        // forward: the input
    R* spike;          // forward: the spikes
    R* v;              // forward: the state
    R* m;
    R* tape;           // [planes, size]
    const R* d_spike;  // backward: the incoming gradient of the spikes
    R* dx;             // backward: the gradient of the input
    R* dv;             // backward: the gradients of the state
    R* dm;
    R* d_leak;         // backward: the gradient of 1/tau, summed over the steps (PLIF)
    const Constants<R>* constants;
};

template <class Kind>
constexpr std::int64_t planes = Kind::has_m ? 4 : Kind::learns_leak ? 2 : 1;

// Advance the state by one row and write either its spikes or its tape.
template <class Kind, bool to_tape>
struct ForwardRow {
    template <class Arithmetic, class R>
    static CLIF_INLINE void run(const Row<R>& row) {
        const Constants<R> c = *row.constants;
        const std::ptrdiff_t n = row.size;
        const R* __restrict x = row.x;
        R* __restrict v = row.v;
        R* __restrict m = row.m;
        R* __restrict spike = row.spike;
        R* __restrict tape = row.tape;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            R v_i = v[i];
            R m_i = Kind::has_m ? m[i] : R(0);
            const Step<R> step = advance<Kind, Arithmetic>(x[i], v_i, m_i, c);
            v[i] = v_i;
            if constexpr (Kind::has_m) m[i] = m_i;
            if constexpr (to_tape) {
                tape[i] = step.u;
                if constexpr (Kind::learns_leak) tape[n + i] = step.u_leak;
                if constexpr (Kind::has_m) {
                    tape[n + i] = step.m_before;
                    tape[2 * n + i] = step.p;
                    tape[3 * n + i] = step.q;
                }
            } else {
                spike[i] = step.spike;
            }
        }
    }
};

// Take the gradients back by one row, from its tape.
template <class Kind, class Surrogate>
struct BackwardRow {
    template <class Arithmetic, class R>
    static CLIF_INLINE void run(const Row<R>& row) {
        const Constants<R> c = *row.constants;
        const std::ptrdiff_t n = row.size;
        const R* __restrict tape = row.tape;
        const R* __restrict d_spike = row.d_spike;
        R* __restrict dx = row.dx;
        R* __restrict dv = row.dv;
        R* __restrict dm = row.dm;
        R* __restrict d_leak = row.d_leak;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            Step<R> step;
            step.u = tape[i];
            step.spike = fires(step.u, c);
            if constexpr (Kind::learns_leak) step.u_leak = tape[n + i];
            if constexpr (Kind::has_m) {
                step.m_before = tape[n + i];
                step.p = tape[2 * n + i];
                step.q = tape[3 * n + i];
            }
            R dv_i = dv[i];
            R dm_i = Kind::has_m ? dm[i] : R(0);
            const R du = retreat<Kind, Surrogate, Arithmetic>(step, d_spike[i], dv_i, dm_i, c);
            dx[i] = du * c.gain;
            dv[i] = dv_i;
            if constexpr (Kind::has_m) dm[i] = dm_i;
            if constexpr (Kind::learns_leak) d_leak[i] += du * step.u_leak;
        }
    }
};

// A row that changes its type between memory and computation.
template <class From, class To>
struct Conversion {
    std::ptrdiff_t size;
    const From* from;
    To* to;
};

struct Widen {
    template <class Arithmetic>
    static CLIF_INLINE void run(const Conversion<Bfloat16, float>& row) {
        const Bfloat16* __restrict from = row.from;
        float* __restrict to = row.to;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < row.size; ++i) to[i] = widen(from[i]);
    }
};

struct Narrow {
    template <class Arithmetic>
    static CLIF_INLINE void run(const Conversion<float, Bfloat16>& row) {
        const float* __restrict from = row.from;
        Bfloat16* __restrict to = row.to;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < row.size; ++i) to[i] = narrow(from[i]);
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
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
    return Isa::baseline;
}

#ifdef __FP_FAST_FMAF
using BaselineArithmetic = Fused;
#else
using BaselineArithmetic = Separate;
#endif

template <class Loop, class Arguments>
void run_baseline(const Arguments& row) {
    Loop::template run<BaselineArithmetic>(row);
}

#ifdef CLIF_X86
template <class Loop, class Arguments>
CLIF_TARGET("avx2,fma")
void run_avx2(const Arguments& row) {
    Loop::template run<Fused>(row);
}

template <class Loop, class Arguments>
CLIF_TARGET("avx512f,avx512bw,avx512dq,avx512vl,fma")
void run_avx512(const Arguments& row) {
    Loop::template run<Fused>(row);
}
#endif

template <class Arguments>
using RowFunction = void (*)(const Arguments&);

template <class Loop, class Arguments>
RowFunction<Arguments> compile_for(Isa isa) {
#ifdef CLIF_X86
    if (isa == Isa::avx512) return run_avx512<Loop, Arguments>;
    if (isa == Isa::avx2) return run_avx2<Loop, Arguments>;
#endif
    return run_baseline<Loop, Arguments>;
}

}  // namespace clif
