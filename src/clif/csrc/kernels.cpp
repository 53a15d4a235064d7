// The C interface of the kernels, called through ctypes by `clif.ops.cpu`.
//
// A sequence [T, size] is cut into blocks of neurons whose state stays in the nearest cache while a block runs through
// all its T steps; threads take blocks in turn. The backward pass recomputes a block's steps from x into a tape and
// then goes back over it, so nothing need be kept from the forward pass.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "rows.hpp"

#if defined(__unix__) || defined(__APPLE__)
#define CLIF_UNIX 1
#include <dlfcn.h>
#endif

#if defined(__GNUC__)
#define CLIF_EXPORT __attribute__((visibility("default")))
#else
#define CLIF_EXPORT
#endif

using namespace clif;

extern "C" {

// One call, forward or backward. `clif.ops.cpu.Problem` mirrors it field by field.
//
// Sequences are [steps, size] in the storage dtype, each with its stride between steps (0 repeats one step); states
// are [size] in the compute dtype, or a single value with stride 0.
struct Problem {
    std::int64_t steps, size;
    std::int64_t x_stride, d_spike_stride, v_stride, m_stride;
    const void *x, *v, *m;                      // in: m for CLIF only
    void *spike, *v_last, *m_last;              // forward, out
    const void *d_spike, *d_v_last, *d_m_last;  // backward, in: null stands for zero
    void *dx, *dv, *dm, *d_leak;                // backward, out: dv and dm may be null; d_leak for PLIF only
    double leak, keep, threshold, subtract, reset, alpha;
    std::int32_t neuron, dtype, surrogate;  // numbered as in the switches below
    std::int32_t decay_input, hard_reset, detach_reset;
    std::int32_t threads, isa;
};
}

namespace {

constexpr std::int64_t block_bytes = 16 * 1024;   // of one row of a state
constexpr std::int64_t tape_bytes = 128 * 1024;   // of a block's tape, where T allows it
constexpr std::int64_t steps_per_thread = 16384;  // element-steps that are worth a thread
constexpr std::size_t cache_line = 64;            // bytes

Isa isa_of(const Problem& p) { return std::min(static_cast<Isa>(p.isa), best_isa()); }

// The row functions for one problem.
template <class S>
struct Rows {
    bool has_m, learns_leak;
    std::int64_t planes;  // of the tape
    RowFunction<Row<S>> forward, record, backward;
};

template <class Kind, class S>
RowFunction<Row<S>> backward_row(const Problem& p) {
    switch (p.surrogate) {
        case 0: return compile_for<BackwardRow<Kind, Rectangle>, Row<S>>(isa_of(p));
        case 1: return compile_for<BackwardRow<Kind, Sigmoid>, Row<S>>(isa_of(p));
        case 2: return compile_for<BackwardRow<Kind, Triangle>, Row<S>>(isa_of(p));
        default: return compile_for<BackwardRow<Kind, ATan>, Row<S>>(isa_of(p));
    }
}

template <Neuron neuron, bool hard_reset, class S>
Rows<S> rows_of_kind(const Problem& p) {
    using Attached = Kind<neuron, hard_reset, false>;
    using Detached = Kind<neuron, hard_reset, true>;
    return {Attached::has_m,
            Attached::learns_leak,
            planes<Attached>,
            compile_for<ForwardRow<Attached, false>, Row<S>>(isa_of(p)),
            compile_for<ForwardRow<Attached, true>, Row<S>>(isa_of(p)),
            p.detach_reset ? backward_row<Detached, S>(p) : backward_row<Attached, S>(p)};
}

template <Neuron neuron, class S>
Rows<S> rows_of_neuron(const Problem& p) {
    return p.hard_reset ? rows_of_kind<neuron, true, S>(p) : rows_of_kind<neuron, false, S>(p);
}

template <class S>
Rows<S> rows_of(const Problem& p) {
    switch (p.neuron) {
        case 0: return rows_of_neuron<Neuron::clif, S>(p);
        case 1: return rows_of_neuron<Neuron::lif, S>(p);
        default: return rows_of_neuron<Neuron::plif, S>(p);
    }
}

// A sequence in memory, row by row; where there is none, every row is `absent`.
template <class S>
class Sequence {
public:
    Sequence(const void* data, std::int64_t stride, std::int64_t steps, S* absent = nullptr)
        : data_(static_cast<S*>(const_cast<void*>(data))), absent_(absent), stride_(stride), steps_(steps) {}

    // Step t from element `first` on.
    S* at(std::int64_t t, std::int64_t first) const { return data_ ? data_ + t * stride_ + first : absent_; }

    // The same as something to fetch: null where there is no such step.
    const S* soon(std::int64_t t, std::int64_t first) const {
        return data_ && t >= 0 && t < steps_ ? at(t, first) : nullptr;
    }

private:
    S *data_, *absent_;
    std::int64_t stride_, steps_;
};

template <class R>
Constants<R> constants_of(const Problem& p) {
    Constants<R> c;
    c.leak = static_cast<R>(p.leak);
    c.keep = static_cast<R>(p.keep);
    c.gain = p.decay_input ? c.leak : R(1);
    c.threshold = static_cast<R>(p.threshold);
    c.subtract = static_cast<R>(p.subtract);
    c.reset = static_cast<R>(p.reset);
    c.alpha = static_cast<R>(p.alpha);
    c.decay_input = p.decay_input;
    return c;
}

// A block's part of a state, or its single value repeated, or zeros where there is none.
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

// At most `limit` elements, fewer where the threads would otherwise have too little to share.
std::int64_t block_size(const Problem& p, std::int64_t limit) {
    const std::int64_t share = p.size / (4 * std::max(p.threads, 1));
    return std::max<std::int64_t>(std::min(limit, share) / chunk_size, 1) * chunk_size;
}

// Calls work(worker) on up to `workers` threads, with another number in [0, workers) on each.
//
// PyTorch's OpenMP threads stay busy waiting for a while after each of its operations, and threads of our own would
// have to share the processors with them. So we take the threads of the OpenMP runtime that PyTorch has loaded, through
// its entry point, and start our own only where there is none. Where the system grants fewer, they do all the work.
template <class Work>
void on_threads(std::int64_t workers, const Work& work) {
    if (workers == 1) return work(0);
#ifdef CLIF_UNIX
    using Region = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
    static const auto openmp = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    if (openmp != nullptr) {
        struct Team {
            const Work& work;
            std::atomic<std::int64_t> joined{0};
        } team{work};
        const auto join = [](void* data) {
            auto& team = *static_cast<Team*>(data);
            team.work(team.joined.fetch_add(1));
        };
        return openmp(join, &team, static_cast<unsigned>(workers), 0);
    }
#endif
    std::vector<std::thread> others;
    others.reserve(workers - 1);
    try {
        for (std::int64_t i = 1; i < workers; ++i) others.emplace_back(work, i);
    } catch (const std::system_error&) {
    }
    work(0);
    for (auto& thread : others) thread.join();
}

// The blocks that a thread starts with; whoever takes `next` works off that block.
struct alignas(cache_line) Share {
    std::atomic<std::int64_t> next;
    std::int64_t end;
};

// Runs job(scratch, first, count) over blocks of [0, size), each thread with its own scratch of `scratch_size` elements,
// which begins at a cache line.
//
// Every thread has a contiguous share of the blocks and, when it is through, helps with the others'. Blocks dealt out
// one by one would be slower: what one thread reads ahead is then what the other writes.
template <class R, class Job>
void over_blocks(const Problem& p, std::int64_t block, std::int64_t scratch_size, Job job) {
    const std::int64_t blocks = (p.size + block - 1) / block;
    const std::int64_t useful = std::min(blocks, p.size * p.steps / steps_per_thread);
    const std::int64_t workers = std::max<std::int64_t>(1, std::min<std::int64_t>(p.threads, useful));
    std::size_t bytes = workers * scratch_size * sizeof(R);
    std::size_t room = bytes + cache_line;
    const std::unique_ptr<char[]> memory(new char[room]);
    void* start = memory.get();
    R* const scratch = static_cast<R*>(std::align(cache_line, bytes, start, room));
    std::vector<Share> shares(workers);
    for (std::int64_t i = 0; i < workers; ++i) {
        shares[i].next = blocks * i / workers;
        shares[i].end = blocks * (i + 1) / workers;
    }
    on_threads(workers, [&](std::int64_t worker) {
        for (std::int64_t i = 0; i < workers; ++i) {
            Share& share = shares[(worker + i) % workers];
            for (std::int64_t taken; (taken = share.next.fetch_add(1)) < share.end;)
                job(scratch + worker * scratch_size, taken * block, std::min(block, p.size - taken * block));
        }
    });
}

template <class S>
void forward(const Problem& p) {
    using R = Compute<S>;
    const Constants<R> constants = constants_of<R>(p);
    const Rows<S> rows = rows_of<S>(p);
    const Sequence<S> x(p.x, p.x_stride, p.steps), spike(p.spike, p.size, p.steps);
    over_blocks<R>(p, block_size(p, block_bytes / sizeof(R)), 0, [&](R*, std::int64_t first, std::int64_t n) {
        Row<S> row{};
        row.size = n;
        row.constants = &constants;
        row.v = static_cast<R*>(p.v_last) + first;
        copy_state(p.v, p.v_stride, first, n, row.v);
        if (rows.has_m) {
            row.m = static_cast<R*>(p.m_last) + first;
            copy_state(p.m, p.m_stride, first, n, row.m);
        }
        for (std::int64_t t = 0; t < p.steps; ++t) {
            row.soon[0] = x.soon(t + 1, first);
            row.soon[1] = spike.soon(t + 1, first);
            row.x = x.at(t, first);
            row.spike = spike.at(t, first);
            rows.forward(row);
        }
    });
}

template <class S>
void backward(const Problem& p) {
    using R = Compute<S>;
    const Constants<R> constants = constants_of<R>(p);
    const Rows<S> rows = rows_of<S>(p);
    const std::int64_t tape_size = rows.planes * p.steps;  // per neuron
    const std::int64_t block = block_size(p, std::min(block_bytes, tape_bytes / tape_size) / sizeof(R));
    std::vector<S> zeros(p.d_spike ? 0 : block);
    const Sequence<S> x(p.x, p.x_stride, p.steps), dx(p.dx, p.size, p.steps);
    const Sequence<S> d_spike(p.d_spike, p.d_spike_stride, p.steps, zeros.data());
    over_blocks<R>(p, block, block * (4 + tape_size), [&](R* scratch, std::int64_t first, std::int64_t n) {
        const auto take = [&](std::int64_t planes) { return std::exchange(scratch, scratch + planes * block); };
        Row<S> row{};
        row.size = n;
        row.constants = &constants;
        row.v = take(1);
        row.m = take(1);
        copy_state(p.v, p.v_stride, first, n, row.v);
        if (rows.has_m) copy_state(p.m, p.m_stride, first, n, row.m);
        row.dv = p.dv ? static_cast<R*>(p.dv) + first : take(1);
        row.dm = p.dm ? static_cast<R*>(p.dm) + first : take(1);
        copy_state(p.d_v_last, 1, first, n, row.dv);
        if (rows.has_m) copy_state(p.d_m_last, 1, first, n, row.dm);
        if (rows.learns_leak) {
            row.d_leak = static_cast<R*>(p.d_leak) + first;
            std::fill_n(row.d_leak, n, R(0));
        }
        R* const tape = take(tape_size);
        const std::int64_t last = p.steps - 1;
        for (std::int64_t t = 0; t <= last; ++t) {
            row.soon[0] = t < last ? x.soon(t + 1, first) : d_spike.soon(last, first);
            row.x = x.at(t, first);
            row.tape = tape + t * rows.planes * n;
            rows.record(row);
        }
        for (std::int64_t t = last; t >= 0; --t) {
            row.soon[0] = d_spike.soon(t - 1, first);
            row.soon[1] = dx.soon(t - 1, first);
            row.d_spike = d_spike.at(t, first);
            row.tape = tape + t * rows.planes * n;
            row.dx = dx.at(t, first);
            rows.backward(row);
        }
    });
}

template <class S>
void run_dtype(const Problem& p, bool is_backward) {
    is_backward ? backward<S>(p) : forward<S>(p);
}

// 0, or 1 where there is no memory for the scratch.
int run(const Problem& p, bool is_backward) {
    try {
        switch (p.dtype) {
            case 0: run_dtype<float>(p, is_backward); break;
            case 1: run_dtype<Bfloat16>(p, is_backward); break;
            default: run_dtype<double>(p, is_backward);
        }
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

}  // namespace

extern "C" {

CLIF_EXPORT int clif_forward(const Problem* problem) { return run(*problem, false); }

CLIF_EXPORT int clif_backward(const Problem* problem) { return run(*problem, true); }

// The best instruction set of this machine: 0 baseline, 1 AVX2, 2 AVX-512.
CLIF_EXPORT int clif_isa() { return static_cast<int>(best_isa()); }
}
