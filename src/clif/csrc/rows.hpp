// The inner loops: one time step of one block of neurons, a "row". Each loop is a struct with a static `run`, which
// `compile_for` turns into a function for the instruction set at hand.
//
// A row is worked off in chunks, and while a chunk is computed the same chunk of a row that comes soon is fetched into
// the cache: rows of one block lie far apart in memory, where the processor's own prefetching does not find them.
#pragma once

#include <cstddef>

#include "equations.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define CLIF_X86 1
#define CLIF_TARGET(features) __attribute__((target(features)))
#endif

namespace clif {

constexpr std::ptrdiff_t chunk_size = 128;      // a multiple of every vector length
constexpr std::ptrdiff_t longest_chunk = 2048;  // where channels make it longer

// The batch norm before a neuron, for the elements of a chunk at one step: x counts as x * scale + shift. A chunk is a
// whole number of pixels, so one chunk's worth of each serves every chunk.
template <class R>
struct Norm {
    const R *scale, *shift;
    const R* mean;   // backward: what x is compared with in the sums
    R *sum, *sum_x;  // backward: of the gradients of the neuron's input, alone and times x - mean
};

// One row of `size` elements, in memory of type S or, where it is scratch or a state, in the type of computation.
//
// The tape keeps what a step's derivatives need. Chunk by chunk it has one plane after the other, in the order u,
// m_before, p, q for CLIF; u, u_leak for PLIF; u for LIF.
template <class S>
struct Row {
    using R = Compute<S>;
    std::ptrdiff_t size, chunk;
    const S* x;        // the input
    S* spike;          // forward: the spikes
    R* v;              // forward: the state
    R* m;
    R* tape;           // [planes, size]
    const S* d_spike;  // backward: the incoming gradient of the spikes
    S* dx;             // backward: the gradient of the input
    R* dv;             // backward: the gradients of the state
    R* dm;
    R* d_leak;         // backward: the gradient of 1/tau, summed over the steps (PLIF)
    const S* soon[2];  // rows to fetch meanwhile; may be null
    Norm<R> norm;      // all null where there is none
    const Constants<R>* constants;
};

template <class Kind>
constexpr std::int64_t planes = Kind::has_m ? 4 : Kind::learns_leak ? 2 : 1;

template <class S>
CLIF_INLINE void fetch(const S* from, std::ptrdiff_t n) {
#if defined(__GNUC__)
    constexpr std::ptrdiff_t line = 64 / sizeof(S);
    for (std::ptrdiff_t i = 0; i < n; i += line) __builtin_prefetch(from + i);
#endif
}

// A chunk of memory in the type of computation: the memory itself, or `buffer` filled from it.
template <class S, class R>
CLIF_INLINE const R* widened(const S* memory, R* buffer, std::ptrdiff_t n) {
    if constexpr (std::is_same_v<S, R>) {
        return memory;
    } else {
        const S* __restrict from = memory;
        R* __restrict to = buffer;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = widen(from[i]);
        return buffer;
    }
}

// Where to compute a chunk that is bound for memory, and how it gets there; `exact` if nothing needs to be rounded.
template <class S, class R>
CLIF_INLINE R* before_narrowing(S* memory, R* buffer) {
    if constexpr (std::is_same_v<S, R>) return memory;
    else return buffer;
}

template <bool exact, class S, class R>
CLIF_INLINE void narrowed(S* memory, const R* buffer, std::ptrdiff_t n) {
    if constexpr (!std::is_same_v<S, R>) {
        const R* __restrict from = buffer;
        S* __restrict to = memory;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = exact ? narrow_exact(from[i]) : narrow(from[i]);
    }
}

// A chunk of the neuron's input: x, normalised where there is a batch norm.
template <class S, class R>
CLIF_INLINE const R* input(const Row<S>& row, std::ptrdiff_t first, R* buffer, std::ptrdiff_t n) {
    const R* wide = widened(row.x + first, buffer, n);
    if (row.norm.scale == nullptr) return wide;
    const R* __restrict scale = row.norm.scale;
    const R* __restrict shift = row.norm.shift;
#pragma omp simd
    for (std::ptrdiff_t i = 0; i < n; ++i) buffer[i] = wide[i] * scale[i] + shift[i];
    return buffer;
}

// Adds to the sums of the batch norm what a chunk's gradients `g` contribute.
template <class S, class R>
CLIF_INLINE void sum_up(const Row<S>& row, std::ptrdiff_t first, const R* g, R* buffer, std::ptrdiff_t n) {
    if (row.norm.sum == nullptr) return;
    const R* x = widened(row.x + first, buffer, n);
    const R* __restrict mean = row.norm.mean;
    R* __restrict sum = row.norm.sum;
    R* __restrict sum_x = row.norm.sum_x;
#pragma omp simd
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        sum[i] += g[i];
        sum_x[i] += g[i] * (x[i] - mean[i]);
    }
}

// Runs Loop::chunk over the whole row.
template <class Loop, class Arithmetic, class S>
CLIF_INLINE void run_in_chunks(const Row<S>& row) {
    const Constants<Compute<S>> constants = *row.constants;
    for (std::ptrdiff_t first = 0; first < row.size; first += row.chunk) {
        const std::ptrdiff_t n = row.chunk < row.size - first ? row.chunk : row.size - first;
        for (const S* soon : row.soon)
            if (soon != nullptr) fetch(soon + first, n);
        Loop::template chunk<Arithmetic>(row, constants, first, n);
    }
}

// Advance the state by one row and write either its spikes or its tape.
template <class Kind, bool to_tape>
struct ForwardRow {
    template <class Arithmetic, class S>
    static CLIF_INLINE void run(const Row<S>& row) {
        run_in_chunks<ForwardRow, Arithmetic>(row);
    }

    template <class Arithmetic, class S, class R>
    static CLIF_INLINE void chunk(const Row<S>& row, const Constants<R>& c, std::ptrdiff_t first, std::ptrdiff_t n) {
        alignas(64) R in_buffer[longest_chunk], out_buffer[longest_chunk];
        const R* __restrict x = input(row, first, in_buffer, n);
        R* __restrict spike = before_narrowing(row.spike + first, out_buffer);
        R* __restrict v = row.v + first;
        R* __restrict m = row.m + first;
        R* __restrict tape = row.tape + planes<Kind> * first;
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            R v_i = v[i];
            R m_i = Kind::has_m ? m[i] : R(0);
            const Step<R> step = charge<Kind, Arithmetic>(x[i], v_i, m_i, c);
            v[i] = v_i;
            if constexpr (Kind::has_m) m[i] = m_i;
            if constexpr (to_tape) {
                tape[i] = step.u;
                if constexpr (Kind::learns_leak) tape[n + i] = step.u_leak;
                if constexpr (Kind::has_m) {
                    tape[n + i] = step.m_before;
                    tape[2 * n + i] = step.p;
                }
            } else {
                spike[i] = step.spike;
            }
        }
#pragma omp simd
        for (std::ptrdiff_t i = 0; i < n; ++i) {
            R v_i = v[i];
            const R q = reset<Kind, Arithmetic>(v_i, Kind::has_m ? m[i] : R(0), c);
            v[i] = v_i;
            if constexpr (to_tape && Kind::has_m) tape[3 * n + i] = q;
        }
        if constexpr (!to_tape) narrowed<true>(row.spike + first, spike, n);
    }
};

// Take the gradients back by one row, from its tape.
template <class Kind, class Surrogate>
struct BackwardRow {
    template <class Arithmetic, class S>
    static CLIF_INLINE void run(const Row<S>& row) {
        run_in_chunks<BackwardRow, Arithmetic>(row);
    }

    template <class Arithmetic, class S, class R>
    static CLIF_INLINE void chunk(const Row<S>& row, const Constants<R>& c, std::ptrdiff_t first, std::ptrdiff_t n) {
        const R* __restrict tape = row.tape + planes<Kind> * first;
        alignas(64) R in_buffer[longest_chunk], out_buffer[longest_chunk];
        const R* __restrict d_spike = widened(row.d_spike + first, in_buffer, n);
        R* __restrict dx = before_narrowing(row.dx + first, out_buffer);
        R* __restrict dv = row.dv + first;
        R* __restrict dm = row.dm + first;
        R* __restrict d_leak = row.d_leak + first;
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
        sum_up(row, first, dx, in_buffer, n);
        narrowed<false>(row.dx + first, dx, n);
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
