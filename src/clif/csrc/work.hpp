// The arguments of the inner loops (loops.hpp) and units (unit.hpp), and the choice of the loops by instruction set.
#pragma once

#include "numeric.hpp"
#include "problem.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define CLIF_X86 1
#if defined(__clang__) || __GNUC__ >= 10
#define CLIF_AVX512_BF16 1
#endif
#endif

#if defined(__aarch64__) && defined(__GNUC__)
#define CLIF_NEON 1
#endif

namespace clif {

// The results of the functions of the C interface, which did nothing unless it is `done`. `clif.ops.cpu` mirrors them.
enum class Status : int { done, no_memory, dtype, isa };

// Thrown if a problem has an unknown dtype or an instruction set that this machine lacks.
struct Unknown {
    Status what;
};

// The batch norm before a neuron, whose input is x * scale + shift. Every step has a row of `stride` numbers: one per
// channel, then those of the first channels again, so that a strip may begin at any channel.
template <class R>
struct Norm {
    const R *scale, *shift;
    const R* mean;  // backward: subtracted from x in the sums
    std::ptrdiff_t channels, stride;
    std::ptrdiff_t first_channel;  // of neuron 0

    std::ptrdiff_t at(std::ptrdiff_t row, std::ptrdiff_t neuron) const {
        return row * stride + (first_channel + neuron) % channels;
    }
};

// A sequence in memory. Strides are often powers of 2, and all rows then compete for the same few lines of a cache, so
// a strip's part of a row should be short.
template <class S>
struct Sequence {
    S* data;  // may be null
    std::ptrdiff_t stride;

    S* at(std::ptrdiff_t step, std::ptrdiff_t neuron) const { return data + step * stride + neuron; }
};

// A state before the first step: one value per neuron, one value for all (stride 0), or 0 (data is null).
template <class R>
struct State {
    const R* data;
    std::ptrdiff_t stride;
};

// The memory that the backward loops write besides a layer's results.
template <class R>
struct Scratch {
    R* tape;       // [steps, planes, strip], at a cache line
    R* norm_sums;  // [steps, 2, stride of the norm]: the loops add dx and dx * (x - mean) to it
};

// Elements of one step of a batch norm without a neuron: for the sums of x - pivot and of its square, or for
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

// The numbers in a row of `RowSums`: a few vectors, which the processor keeps in registers.
template <class R>
constexpr std::int64_t row_block = 256 / sizeof(R);

struct Range {
    std::uint32_t begin, end;
};

// Sums of rows, added to `count` consecutive rows at `to`. Row i gets the sum of the rows that begin at from + place,
// for each place with an index in ranges[i].
template <class R>
struct RowSums {
    const R* from;
    const std::uint32_t* places;
    const Range* ranges;
    std::ptrdiff_t count;
    R* to;
};

// Elements and their bits; `spike` is the value of a spike.
template <class S>
struct Spikes {
    std::int64_t size;
    S spike;
    S* elements;
    std::uint64_t* words;
};

// The loops of one storage type.
template <class S>
struct Loops {
    void (*norm_statistics)(const NormRow<S>&);
    void (*norm_backward)(const NormRow<S>&);
    // Sets the bit of every element that is not 0; returns how many are neither 0 nor a spike.
    std::int64_t (*pack)(const Spikes<S>&);
    void (*unpack)(const Spikes<S>&);
    void (*add_rows)(const RowSums<Compute<S>>&);
};

// Instruction sets, each with its loops. `baseline` is the one for which the compiler builds by default. Each set of
// x86 includes the ones before it; avx512_bf16 differs from avx512 only in bfloat16. 64-bit ARM has baseline and neon.
enum class Isa { baseline, avx2, avx512, avx512_bf16, neon };

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
#ifdef CLIF_NEON
namespace neon {
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
#ifdef CLIF_NEON
    return Isa::neon;
#else
    return Isa::baseline;
#endif
}

// Whether this machine has the instruction set `isa`.
inline bool has_isa(int isa) {
    const Isa best = best_isa();
    if (best == Isa::neon) return isa == static_cast<int>(Isa::baseline) || isa == static_cast<int>(best);
    return isa >= 0 && isa <= static_cast<int>(best);
}

// The loops for the instruction set `isa`. Throws `Unknown` if this machine does not have it.
template <class S>
Loops<S> loops_for(int isa) {
    if (!has_isa(isa)) throw Unknown{Status::isa};
    switch (static_cast<Isa>(isa)) {
#ifdef CLIF_X86
#ifdef CLIF_AVX512_BF16
        case Isa::avx512_bf16:
            if constexpr (std::is_same_v<S, Bfloat16>) return avx512_bf16::loops<S>();
            else return avx512::loops<S>();
#endif
        case Isa::avx512: return avx512::loops<S>();
        case Isa::avx2: return avx2::loops<S>();
#endif
#ifdef CLIF_NEON
        case Isa::neon: return neon::loops<S>();
#endif
        case Isa::baseline: return baseline::loops<S>();
        default: throw Unknown{Status::isa};
    }
}

}  // namespace clif
