// A neuron over a whole sequence, forward and backward.
//
// A sequence [T, size] is cut into blocks of neurons whose state stays in the nearest cache while a block runs through
// all its T steps. The backward pass recomputes a block's steps from x into a tape and then goes back over it, so
// nothing need be kept from the forward pass. While a row is worked on, the next rows to be read and written are
// fetched: the block's at the next step, or at the end the next block's.
#pragma once

#include <atomic>
#include <utility>

#include "rows.hpp"
#include "threads.hpp"

namespace clif {

// Bytes of a row of a block, forward and backward, and of a block's tape; a long sequence has shorter rows for it.
constexpr std::int64_t forward_bytes = 4 * 1024, backward_bytes = 4 * 1024, tape_bytes = 128 * 1024;

// Results of so many bytes would only push out of the caches what is needed sooner; written past them, their memory
// need not be read first.
constexpr std::int64_t past_cache_bytes = 8 * 1024 * 1024;

// Elements: what a block's size is a multiple of, so that no vector is cut but the last; a chunk; with a batch norm the
// least chunk, as each step then has five arrays of that length, and the longest.
constexpr std::int64_t whole_vectors = 128, chunk_size = 512, norm_chunk_size = 128, longest_chunk = 2048;

constexpr std::int64_t norm_groups = 16;  // of blocks, over which a batch norm's sums are formed separately

// A sequence in memory, row by row; where there is none, every row is `absent`.
template <class S>
class Sequence {
public:
    Sequence(const void* data, std::int64_t stride, S* absent = nullptr)
        : data_(static_cast<S*>(const_cast<void*>(data))), absent_(absent), stride_(stride) {}

    // Step t from element `first` on.
    S* at(std::int64_t t, std::int64_t first) const { return data_ ? data_ + t * stride_ + first : absent_; }

private:
    S *data_, *absent_;
    std::int64_t stride_;
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

// Whether m is 0 everywhere before the first step; it is not looked for in a whole tensor.
template <class R>
bool is_at_rest(const Problem& p) {
    return p.m == nullptr || (p.m_stride == 0 && *static_cast<const R*>(p.m) == 0);
}

// The whole batch norm of a problem: every step's scale, shift and mean, repeated to the length of a chunk.
template <class R>
class Norms {
public:
    Norms(const Problem& p, std::int64_t chunk) : chunk_(p.channels ? chunk : 0), channels_(p.channels) {
        for (const void* from : {p.scale, p.shift, p.mean}) repeated_.push_back(repeat(p, static_cast<const R*>(from)));
    }

    // What step t needs; `sums` [steps, 2, chunk] takes the sums in the backward pass and may be null.
    Norm<R> at(std::int64_t t, R* sums) const {
        if (channels_ == 0) return {};
        const auto row = [&](int i) { return repeated_[i].empty() ? nullptr : repeated_[i].data() + t * chunk_; };
        R* const sum = sums ? sums + 2 * t * chunk_ : nullptr;
        return {row(0), row(1), row(2), sum, sum ? sum + chunk_ : nullptr};
    }

    // Adds `sums` to the channels' own, `total` [steps, 2, channels].
    void add(const R* sums, std::int64_t steps, double* total) const {
        for (std::int64_t row = 0; row < 2 * steps; ++row)
            for (std::int64_t i = 0; i < chunk_; i += channels_)
                for (std::int64_t c = 0; c < channels_; ++c) total[row * channels_ + c] += sums[row * chunk_ + i + c];
    }

private:
    std::vector<R> repeat(const Problem& p, const R* from) const {
        std::vector<R> rows;
        if (channels_ == 0 || from == nullptr) return rows;
        rows.reserve(p.steps * chunk_);
        for (std::int64_t t = 0; t < p.steps; ++t)
            for (std::int64_t i = 0; i < chunk_; i += channels_)
                rows.insert(rows.end(), from + t * channels_, from + (t + 1) * channels_);
        return rows;
    }

    std::int64_t chunk_, channels_;
    std::vector<std::vector<R>> repeated_;
};

// With a batch norm a whole number of pixels.
inline std::int64_t chunk_of(std::int64_t channels) {
    return channels ? (norm_chunk_size + channels - 1) / channels * channels : chunk_size;
}

// At most `limit` elements, and whole vectors or pixels; fewer where the threads would otherwise have too little to
// share. With a batch norm the number of threads does not count, lest its sums depend on it.
inline std::int64_t block_size(const Problem& p, std::int64_t limit) {
    const std::int64_t unit = p.channels ? chunk_of(p.channels) : whole_vectors;
    const std::int64_t share = p.size / (p.channels ? norm_groups : 4 * std::max(p.threads, 1));
    return std::max<std::int64_t>(std::min(limit, share) / unit, 1) * unit;
}

// Whether a sequence of results is large enough to be written past the caches, and lies so that it can be.
template <class S>
bool goes_past_cache(const Problem& p, const void* result) {
    const auto at_lines = [](std::uintptr_t bytes) { return bytes % cache_line == 0; };
    return p.steps * p.size * static_cast<std::int64_t>(sizeof(S)) >= past_cache_bytes &&
           at_lines(reinterpret_cast<std::uintptr_t>(result)) && at_lines(p.size * sizeof(S)) &&
           at_lines(chunk_of(p.channels) * sizeof(S));
}

// What was written past the caches is visible to other threads only after this.
inline void end_of_block(bool past_cache) {
    if (past_cache) std::atomic_thread_fence(std::memory_order_seq_cst);
}

template <class S>
void forward(const Problem& p) {
    using R = Compute<S>;
    const Constants<R> constants = constants_of<R>(p);
    const NeuronLoops<S> loops = loops_for<S>(p.isa).neuron(p);
    const Sequence<S> x(p.x, p.x_stride), spike(p.spike, p.size);
    const Norms<R> norms(p, chunk_of(p.channels));
    const bool past_cache = goes_past_cache<S>(p, p.spike), from_rest = is_at_rest<R>(p);
    const std::int64_t block = block_size(p, forward_bytes / sizeof(R));
    const std::int64_t blocks = (p.size + block - 1) / block;
    over_items<R>(blocks, p.threads, p.size * p.steps, 0, [&](R*, std::int64_t item) {
        const std::int64_t first = item * block, n = std::min(block, p.size - first);
        const std::int64_t next = first + n < p.size ? first + n : first;
        Row<S> row{};
        row.size = n;
        row.chunk = chunk_of(p.channels);
        row.constants = &constants;
        row.past_cache = past_cache;
        row.v = static_cast<R*>(p.v_last) + first;
        copy_state(p.v, p.v_stride, first, n, row.v);
        if (loops.has_m) {
            row.m = row.m_after = static_cast<R*>(p.m_last) + first;
            copy_state(p.m, p.m_stride, first, n, row.m);
        }
        for (std::int64_t t = 0; t < p.steps; ++t) {
            const std::int64_t soon = t + 1 < p.steps ? t + 1 : 0;
            row.soon[0] = x.at(soon, soon ? first : next);
            row.soon[1] = past_cache ? row.soon[0] : spike.at(soon, soon ? first : next);
            row.x = x.at(t, first);
            row.norm = norms.at(t, nullptr);
            row.spike = spike.at(t, first);
            (t == 0 && from_rest ? loops.from_rest : loops.any).forward(row);
        }
        end_of_block(past_cache);
    });
}

// The backward pass of one block. `scratch` has room for 3 + `m_size` + `tape_size` planes of a whole block, and behind
// them for the sums of a batch norm.
template <class S>
class BackwardBlock {
    using R = Compute<S>;

public:
    BackwardBlock(const Problem& p, const NeuronLoops<S>& loops, std::int64_t block)
        : p_(p), loops_(loops), block_(block), past_cache_(goes_past_cache<S>(p, p.dx)),
          from_rest_(is_at_rest<R>(p) && p.dm == nullptr), constants_(constants_of<R>(p)),
          norms_(p, chunk_of(p.channels)), zeros_(p.d_spike ? 0 : block), x_(p.x, p.x_stride), dx_(p.dx, p.size),
          d_spike_(p.d_spike, p.d_spike_stride, zeros_.data()) {}

    std::int64_t m_size() const { return loops_.has_m ? p_.steps + 1 : 0; }
    std::int64_t tape_size() const { return loops_.planes * p_.steps; }
    std::int64_t sums_size() const { return p_.channels ? 2 * p_.steps * chunk_of(p_.channels) : 0; }
    std::int64_t scratch_size() const { return (3 + m_size() + tape_size()) * block_ + sums_size(); }

    // Fills the gradients of elements [first, first + n); adds to `norm_sums` [steps, 2, channels].
    void run(R* scratch, std::int64_t first, std::int64_t n, double* norm_sums) const {
        const auto take = [&](std::int64_t planes) { return std::exchange(scratch, scratch + planes * block_); };
        Row<S> row{};
        row.size = n;
        row.chunk = chunk_of(p_.channels);
        row.constants = &constants_;
        row.past_cache = past_cache_;
        row.v = take(1);
        R* const m = take(m_size());  // before every step and after the last
        copy_state(p_.v, p_.v_stride, first, n, row.v);
        if (loops_.has_m) copy_state(p_.m, p_.m_stride, first, n, m);
        row.dv = p_.dv ? static_cast<R*>(p_.dv) + first : take(1);
        row.dm = p_.dm ? static_cast<R*>(p_.dm) + first : take(1);
        copy_state(p_.d_v_last, 1, first, n, row.dv);
        if (loops_.has_m) copy_state(p_.d_m_last, 1, first, n, row.dm);
        if (loops_.learns_leak) {
            row.d_leak = static_cast<R*>(p_.d_leak) + first;
            std::fill_n(row.d_leak, n, R(0));
        }
        R* const tape = take(tape_size());
        R* const sums = p_.channels ? std::fill_n(scratch, sums_size(), R(0)) - sums_size() : nullptr;
        const std::int64_t m_stride = loops_.has_m ? n : 0;
        const std::int64_t last = p_.steps - 1;
        const std::int64_t next = first + n < p_.size ? first + n : first;
        for (std::int64_t t = 0; t <= last; ++t) {
            row.soon[0] = row.soon[1] = t < last ? x_.at(t + 1, first) : d_spike_.at(last, first);
            row.x = x_.at(t, first);
            row.norm = norms_.at(t, nullptr);
            row.m = m + t * m_stride;
            row.m_after = row.m + m_stride;
            row.tape = tape + t * loops_.planes * n;
            loops_at(t).record(row);
        }
        for (std::int64_t t = last; t >= 0; --t) {
            row.soon[0] = t > 0 ? d_spike_.at(t - 1, first) : x_.at(0, next);
            row.soon[1] = past_cache_ ? row.soon[0] : t > 0 ? dx_.at(t - 1, first) : dx_.at(last, next);
            row.x = x_.at(t, first);
            row.norm = norms_.at(t, sums);
            row.d_spike = d_spike_.at(t, first);
            row.m = m + t * m_stride;
            row.tape = tape + t * loops_.planes * n;
            row.dx = dx_.at(t, first);
            loops_at(t).backward(row);
        }
        end_of_block(past_cache_);
        if (sums != nullptr) norms_.add(sums, p_.steps, norm_sums);
    }

private:
    const StepLoops<S>& loops_at(std::int64_t t) const {
        if (t == p_.steps - 1 && !p_.d_v_last && !p_.d_m_last) return loops_.last;
        return t == 0 && from_rest_ ? loops_.from_rest : loops_.any;
    }

    const Problem& p_;
    const NeuronLoops<S>& loops_;
    std::int64_t block_;
    bool past_cache_, from_rest_;
    Constants<R> constants_;
    Norms<R> norms_;
    std::vector<S> zeros_;
    Sequence<S> x_, dx_, d_spike_;
};

template <class S>
void backward(const Problem& p) {
    using R = Compute<S>;
    const NeuronLoops<S> loops = loops_for<S>(p.isa).neuron(p);
    const std::int64_t tape_row_bytes = tape_bytes / ((loops.planes + loops.has_m) * p.steps);
    const std::int64_t block = block_size(p, std::min(backward_bytes, tape_row_bytes) / sizeof(R));
    const std::int64_t blocks = (p.size + block - 1) / block;
    const BackwardBlock<S> job(p, loops, block);

    // With a batch norm an item is a group of blocks with sums of its own, which are added up in their order.
    const std::int64_t group = p.channels ? std::max<std::int64_t>((blocks + norm_groups - 1) / norm_groups, 1) : 1;
    const std::int64_t sums_size = 2 * p.steps * p.channels;
    const std::int64_t groups = (blocks + group - 1) / group;
    std::vector<double> sums(groups * sums_size);
    over_items<R>(groups, p.threads, p.size * p.steps, job.scratch_size(), [&](R* scratch, std::int64_t item) {
        for (std::int64_t i = item * group; i < std::min(blocks, (item + 1) * group); ++i)
            job.run(scratch, i * block, std::min(block, p.size - i * block), sums.data() + item * sums_size);
    });
    if (p.channels) std::fill_n(p.norm_sums, sums_size, 0.0);
    for (std::size_t i = 0; i < sums.size(); ++i) p.norm_sums[i % sums_size] += sums[i];
}

}  // namespace clif
