// The blocks of neurons into which a layer is cut for the threads, and the rows and sums of a batch norm before it.
#pragma once

#include <atomic>

#include "threads.hpp"
#include "work.hpp"

namespace clif {

constexpr std::int64_t block_size = 2048;  // neurons

// With a batch norm, a block has at least so many rows of channels, because adding up its sums costs about as much as a
// row.
constexpr std::int64_t block_rows = 8;

// Results of at least so many bytes are written past the caches. In the caches they would evict data that is needed
// sooner, and the processor would read their memory before it writes.
constexpr std::int64_t past_cache_bytes = 8 * 1024 * 1024;

// Whether a sequence of results is large enough to be written past the caches, and its strips begin at cache lines.
template <class S, class Problem>
bool goes_past_cache(const Problem& p, const void* result, std::int64_t strip) {
    const auto at_lines = [](std::uintptr_t bytes) { return bytes % cache_line == 0; };
    return p.steps * p.size * static_cast<std::int64_t>(sizeof(S)) >= past_cache_bytes &&
           at_lines(reinterpret_cast<std::uintptr_t>(result)) && at_lines(p.size * sizeof(S)) &&
           at_lines(strip * sizeof(S));
}

// Makes writes past the caches visible to other threads.
inline void end_of_block(bool past_cache) {
    if (past_cache) std::atomic_thread_fence(std::memory_order_seq_cst);
}

// The batch norm of a problem: the rows of every step, as `Norm` (work.hpp) needs them, and the sums of the channels.
template <class R>
class Norms {
public:
    template <class Problem>
    Norms(const Problem& p, std::int64_t strip)
        : steps_(p.steps), channels_(p.channels), stride_(p.channels ? p.channels + strip : 0) {
        int i = 0;
        for (const void* from : {p.scale, p.shift, p.mean}) fill(rows_[i++], static_cast<const R*>(from));
    }

    Norm<R> norm() const {
        const auto row = [&](int i) { return rows_[i].empty() ? nullptr : rows_[i].data(); };
        return {row(0), row(1), row(2), channels_, stride_, 0};
    }

    std::int64_t stride() const { return stride_; }
    std::int64_t sums_size() const { return 2 * steps_ * stride_; }

    // Adds `sums` [steps, 2, stride] to the sums of the channels, `total` [steps, 2, channels].
    void add(const R* sums, double* total) const {
        for (std::int64_t row = 0; row < 2 * steps_; ++row)
            for (std::int64_t first = 0; first < stride_; first += channels_)
                for (std::int64_t c = 0; c < std::min(channels_, stride_ - first); ++c)
                    total[row * channels_ + c] += sums[row * stride_ + first + c];
    }

private:
    void fill(std::vector<R>& rows, const R* from) const {
        if (channels_ == 0 || from == nullptr) return;
        rows.reserve(steps_ * stride_);
        for (std::int64_t t = 0; t < steps_; ++t)
            for (std::int64_t i = 0; i < stride_; ++i) rows.push_back(from[t * channels_ + i % channels_]);
    }

    std::int64_t steps_, channels_, stride_;
    std::vector<R> rows_[3];
};

// The number of neurons in a block: a whole number of strips, with at most `size` neurons if that is a strip or more.
// It is smaller if the threads would otherwise have too few blocks to share. With a batch norm it does not depend on
// the number of threads, so that the sums do not either.
template <class Problem>
std::int64_t block_of(const Problem& p, std::int64_t size, std::int64_t strip) {
    const std::int64_t share = p.size / (p.channels ? sum_parts : 4 * std::max(p.threads, 1));
    return std::max<std::int64_t>(std::min(size, share) / strip, 1) * strip;
}

}  // namespace clif
