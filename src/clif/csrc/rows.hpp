// What the inner loops (loops.hpp) work on, and the choice among them by instruction set.
//
// A loop does a "row": one time step of one block of neurons. A row is worked off in chunks, which every one of the
// loops over its elements in turn finds in the nearest cache. Meanwhile the rows that come soon are fetched: those of
// one block lie far apart in memory, where the processor's own prefetching does not find them.
#pragma once

#include "numeric.hpp"
#include "problem.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define CLIF_X86 1
#if defined(__clang__) || __GNUC__ >= 10
#define CLIF_AVX512_BF16 1
#endif
#endif

namespace clif {

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
// The tape keeps what a step's derivatives need, besides m. Chunk by chunk it has one plane after the other, in the
// order u, p, q for CLIF; u, u_leak for PLIF; u for LIF.
template <class S>
struct Row {
    using R = Compute<S>;
    std::ptrdiff_t size, chunk;
    const S* x;        // the input
    S* spike;          // forward: the spikes
    R* v;              // forward: the state
    R *m, *m_after;    // before the step and after it; may be the same
    R* tape;           // [planes, size]
    const S* d_spike;  // backward: the incoming gradient of the spikes
    S* dx;             // backward: the gradient of the input
    R* dv;             // backward: the gradients of the state
    R* dm;
    R* d_leak;         // backward: the gradient of 1/tau, summed over the steps (PLIF)
    const S* soon[2];  // rows to fetch meanwhile
    bool past_cache;   // spikes and dx are written past the caches; they begin at a cache line, and so do chunks
    Norm<R> norm;      // all null where there is none
    const Constants<R>* constants;
};

// A row is advanced in `forward`, which writes its spikes, or in `record`, which writes its tape; `backward` takes the
// gradients back by one row, from its tape.
template <class S>
struct StepLoops {
    void (*forward)(const Row<S>&);
    void (*record)(const Row<S>&);
    void (*backward)(const Row<S>&);
};

// The loops for one neuron: for any step, and for two that take less work. A step from rest, where m is 0, and nobody
// asks for its gradient, has no sigmoid to compute; nor has, backward, the last step, where no gradient comes from v and
// m after it: there CLIF is LIF.
template <class S>
struct NeuronLoops {
    bool has_m, learns_leak;
    std::int64_t planes;  // of the tape
    StepLoops<S> from_rest, any, last;
};

// `n` elements of a step of a batch norm alone: for the sums of x - pivot and of its square, or for
// dx * of_dx + x * of_x + constant.
template <class S>
struct NormRow {
    using R = Compute<S>;
    std::ptrdiff_t size, chunk;
    const S* x;
    const R* pivot;
    R *sum, *square;
    S* dx;
    const R *of_dx, *of_x, *constant;
};

constexpr std::int64_t word_bits = 64;

// Numbers in a row of those that are added up: a few vectors, all of which the processor keeps in registers.
template <class R>
constexpr std::int64_t row_block = 256 / sizeof(R);

struct Range {
    std::uint32_t begin, end;
};

// To each of `count` rows at `to`, one behind the other, is added the sum of the rows that begin at from + place, for
// the places of that row's range in the list.
template <class R>
struct RowSums {
    const R* from;
    const std::uint32_t* places;
    const Range* ranges;
    std::ptrdiff_t count;
    R* to;
};

// Elements and their bits; `height` is what a spike counts.
template <class S>
struct Spikes {
    std::int64_t size;
    S height;
    S* elements;
    std::uint64_t* words;
};

// All the loops for one storage type.
template <class S>
struct Loops {
    NeuronLoops<S> (*neuron)(const Problem&);
    void (*norm_statistics)(const NormRow<S>&);
    void (*norm_backward)(const NormRow<S>&);
    // Sets the bit of every element that is not 0; returns how many are neither 0 nor a spike.
    std::int64_t (*pack)(const Spikes<S>&);
    void (*unpack)(const Spikes<S>&);
    void (*add_rows)(const RowSums<Compute<S>>&);
};

// Instruction sets, the best one last, each with its loops. `baseline` is whatever the compiler was told to build for.
// The last one differs in bfloat16 only.
enum class Isa { baseline, avx2, avx512, avx512_bf16 };

namespace baseline {
template <class S>
Loops<S> loops();
}
#ifdef CLIF_X86
namespace avx2 {
template <class S>
Loops<S> loops();
}
namespace avx512 {
template <class S>
Loops<S> loops();
}
namespace avx512_bf16 {
template <class S>
Loops<S> loops();
}
#endif

inline Isa best_isa() {
#ifdef CLIF_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
#ifdef CLIF_AVX512_BF16
        if (__builtin_cpu_supports("avx512bf16")) return Isa::avx512_bf16;
#endif
        return Isa::avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
    return Isa::baseline;
}

// The loops for `isa`, or for the best instruction set here if that is less.
template <class S>
Loops<S> loops_for(int isa) {
#ifdef CLIF_X86
    const int best = static_cast<int>(best_isa());
    switch (static_cast<Isa>(isa < best ? isa : best)) {
#ifdef CLIF_AVX512_BF16
        case Isa::avx512_bf16:
            if constexpr (std::is_same_v<S, Bfloat16>) return avx512_bf16::loops<S>();
            else return avx512::loops<S>();
#endif
        case Isa::avx512: return avx512::loops<S>();
        case Isa::avx2: return avx2::loops<S>();
        default: break;
    }
#endif
    return baseline::loops<S>();
}

}  // namespace clif
