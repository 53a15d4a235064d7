// The C interface of the kernels, called through ctypes by `clif.ops.cpu`.
//
// A sequence [T, size] is cut into blocks of neurons whose state stays in the nearest cache while a block runs through
// all its T steps; threads take blocks in turn. The backward pass recomputes a block's steps from x into a tape and
// then goes back over it, so nothing need be kept from the forward pass.

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "rows.hpp"

#if defined(__GNUC__)
#define CLIF_EXPORT __attribute__((visibility("default")))
#else
#define CLIF_EXPORT
#endif

using clif::Bfloat16;
using clif::Compute;
using clif::Constants;
using clif::Isa;
using clif::Neuron;
using clif::Row;
using clif::RowFunction;

extern "C" {

// One call, forward or backward. `clif.ops.cpu.Problem` mirrors it field by field.
//
// Sequences are [steps, size] in the storage dtype, each with its stride between steps (0 repeats one step); states
// are [size] in the compute dtype, or a single value with stride 0.
struct Problem {
    std::int64_t steps, size;
    std::int64_t x_stride, d_spike_stride, v_stride, m_stride;
    const void *x, *v, *m;          // in: m for CLIF only
    void *spike, *v_last, *m_last;  // forward, out
    const void *d_spike, *d_v_last, *d_m_last;  // backward, in: null stands for zero
    void *dx, *dv, *dm, *d_leak;    // backward, out: dm for CLIF only, d_leak for PLIF only
    double leak, keep, threshold, subtract, reset, alpha;
    std::int32_t neuron, dtype, surrogate;
    std::int32_t decay_input, hard_reset, detach_reset;
    std::int32_t threads, isa;
};
}

namespace {

constexpr std::int64_t block_bytes = 8192;        // of one row of a state
constexpr std::int64_t tape_bytes = 128 * 1024;   // of a block's tape, where T allows it
constexpr std::int64_t shortest_block = 64;       // elements; a multiple of every vector length
constexpr std::int64_t steps_per_thread = 16384;  // element-steps that are worth a thread

// Runs job(scratch, first, count) over blocks of [0, size), shared out among threads, each with its own scratch.
// Threads live for this call only, so a fork between calls finds none; where the system grants none, the others do
// its work.
template <class R, class Job>
void over_blocks(const Problem& p, std::int64_t block, std::int64_t scratch_size, Job job) {
    const std::int64_t blocks = (p.size + block - 1) / block;
    const std::int64_t useful = std::min(blocks, p.size * p.steps / steps_per_thread);
    const std::int64_t workers = std::max<std::int64_t>(1, std::min<std::int64_t>(p.threads, useful));
    std::vector<R> scratch(workers * scratch_size);
    std::atomic<std::int64_t> next{0};
    const auto work = [&](std::int64_t worker) {
        R* own = scratch.data() + worker * scratch_size;
        for (std::int64_t i; (i = next.fetch_add(1)) < blocks;)
            job(own, i * block, std::min(block, p.size - i * block));
    };
    std::vector<std::thread> others;
    others.reserve(workers - 1);
    try {
        for (std::int64_t i = 1; i < workers; ++i) others.emplace_back(work, i);
    } catch (const std::system_error&) {
    }
    work(0);
    for (auto& thread : others) thread.join();
}

// At most `limit` elements, fewer where the threads would otherwise have too little to share.
std::int64_t block_size(const Problem& p, std::int64_t limit) {
    const std::int64_t share = p.size / (4 * std::max(p.threads, 1));
    return std::max(std::min(limit, share), shortest_block) / shortest_block * shortest_block;
}

template <class R>
Constants<R> constants(const Problem& p) {
    Constants<R> c;
    c.leak = static_cast<R>(p.leak);
    c.keep = static_cast<R>(p.keep);
    c.gain = p.decay_input ? c.leak : R(1);
    c.threshold = static_cast<R>(p.threshold);
    c.subtract = static_cast<R>(p.subtract);
    c.reset = static_cast<R>(p.reset);
    c.alpha = static_cast<R>(p.alpha);
    c.hard_reset = p.hard_reset;
    c.detach_reset = p.detach_reset;
    c.decay_input = p.decay_input;
    return c;
}

Isa chosen_isa(const Problem& p) { return std::min(static_cast<Isa>(p.isa), clif::best_isa()); }

template <Neuron neuron, bool to_tape, class S>
RowFunction<S> forward_row(const Problem& p) {
    const Isa isa = chosen_isa(p);
    return p.hard_reset ? clif::compile_for<clif::ForwardRow<neuron, true, to_tape, S>, S>(isa)
                        : clif::compile_for<clif::ForwardRow<neuron, false, to_tape, S>, S>(isa);
}

template <Neuron neuron, class Surrogate, class S>
RowFunction<S> backward_row_of(const Problem& p) {
    const Isa isa = chosen_isa(p);
    return p.d_spike ? clif::compile_for<clif::BackwardRow<neuron, Surrogate, true, S>, S>(isa)
                     : clif::compile_for<clif::BackwardRow<neuron, Surrogate, false, S>, S>(isa);
}

template <Neuron neuron, class S>
RowFunction<S> backward_row(const Problem& p) {
    switch (p.surrogate) {
        case 0: return backward_row_of<neuron, clif::Rectangle, S>(p);
        case 1: return backward_row_of<neuron, clif::Sigmoid, S>(p);
        case 2: return backward_row_of<neuron, clif::Triangle, S>(p);
        default: return backward_row_of<neuron, clif::ATan, S>(p);
    }
}

template <class R>
void copy_state(const void* state, std::int64_t stride, std::int64_t first, std::int64_t n, R* to) {
    const R* from = static_cast<const R*>(state);
    if (from == nullptr) {
        std::fill_n(to, n, R(0));
    } else if (stride == 0) {
        std::fill_n(to, n, *from);
    } else {
        std::copy_n(from + first, n, to);
    }
}

template <Neuron neuron, class S>
void forward(const Problem& p) {
    using R = Compute<S>;
    const Constants<R> c = constants<R>(p);
    const RowFunction<S> advance_row = forward_row<neuron, false, S>(p);
    const std::int64_t block = block_size(p, block_bytes / sizeof(R));
    over_blocks<R>(p, block, 0, [&](R*, std::int64_t first, std::int64_t n) {
            Row<S> row{};
            row.size = n;
            row.constants = &c;
            row.v = static_cast<R*>(p.v_last) + first;
            copy_state(p.v, p.v_stride, first, n, row.v);
            if constexpr (neuron == Neuron::clif) {
                row.m = static_cast<R*>(p.m_last) + first;
                copy_state(p.m, p.m_stride, first, n, row.m);
            }
            for (std::int64_t t = 0; t < p.steps; ++t) {
                row.x = static_cast<const S*>(p.x) + t * p.x_stride + first;
                row.spike = static_cast<S*>(p.spike) + t * p.size + first;
                advance_row(row);
            }
    });
}

template <Neuron neuron, class S>
void backward(const Problem& p) {
    using R = Compute<S>;
    const Constants<R> c = constants<R>(p);
    const RowFunction<S> record_row = forward_row<neuron, true, S>(p);
    const RowFunction<S> retreat_row = backward_row<neuron, S>(p);
    const std::int64_t tape_per_element = clif::planes(neuron) * p.steps * static_cast<std::int64_t>(sizeof(R));
    const std::int64_t block = block_size(p, std::min<std::int64_t>(block_bytes / sizeof(R), tape_bytes / tape_per_element));
    const std::int64_t scratch_size = block * (2 + clif::planes(neuron) * p.steps);
    over_blocks<R>(p, block, scratch_size, [&](R* state, std::int64_t first, std::int64_t n) {
            R* const tape = state + 2 * block;
            Row<S> row{};
            row.size = n;
            row.constants = &c;
            row.v = state;
            copy_state(p.v, p.v_stride, first, n, row.v);
            if constexpr (neuron == Neuron::clif) {
                row.m = state + block;
                copy_state(p.m, p.m_stride, first, n, row.m);
            }
            for (std::int64_t t = 0; t < p.steps; ++t) {
                row.x = static_cast<const S*>(p.x) + t * p.x_stride + first;
                row.tape = tape + t * clif::planes(neuron) * n;
                record_row(row);
            }
            row.dv = static_cast<R*>(p.dv) + first;
            copy_state(p.d_v_last, 1, first, n, row.dv);
            if constexpr (neuron == Neuron::clif) {
                row.dm = static_cast<R*>(p.dm) + first;
                copy_state(p.d_m_last, 1, first, n, row.dm);
            }
            if constexpr (neuron == Neuron::plif) {
                row.d_leak = static_cast<R*>(p.d_leak) + first;
                std::fill_n(row.d_leak, n, R(0));
            }
            for (std::int64_t t = p.steps - 1; t >= 0; --t) {
                row.tape = tape + t * clif::planes(neuron) * n;
                row.d_spike = p.d_spike ? static_cast<const S*>(p.d_spike) + t * p.d_spike_stride + first : nullptr;
                row.dx = static_cast<S*>(p.dx) + t * p.size + first;
                retreat_row(row);
            }
    });
}

template <Neuron neuron, class S>
void run(const Problem& p, bool is_backward) {
    is_backward ? backward<neuron, S>(p) : forward<neuron, S>(p);
}

template <class S>
void for_neuron(const Problem& p, bool is_backward) {
    switch (p.neuron) {
        case 0: return run<Neuron::clif, S>(p, is_backward);
        case 1: return run<Neuron::lif, S>(p, is_backward);
        default: return run<Neuron::plif, S>(p, is_backward);
    }
}

// 0, or 1 where there is no memory for the scratch.
int for_dtype(const Problem& p, bool is_backward) {
    try {
        switch (p.dtype) {
            case 0: for_neuron<float>(p, is_backward); break;
            case 1: for_neuron<Bfloat16>(p, is_backward); break;
            default: for_neuron<double>(p, is_backward);
        }
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

}  // namespace

extern "C" {

CLIF_EXPORT int clif_forward(const Problem* problem) { return for_dtype(*problem, false); }

CLIF_EXPORT int clif_backward(const Problem* problem) { return for_dtype(*problem, true); }

// The best instruction set of this machine: 0 baseline, 1 AVX2, 2 AVX-512.
CLIF_EXPORT int clif_isa() { return static_cast<int>(clif::best_isa()); }
}
