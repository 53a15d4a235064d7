// How the neurons of a layer are cut into blocks for the threads, and what a batch norm before them needs.
#pragma once

#include <atomic>

#include "threads.hpp"
#include "work.hpp"

namespace clif {

constexpr std::int64_t block_size = 2048;  // neurons
constexpr std::int64_t block_rows = 8;     // with a batch norm, at least so many rows of channels, as sums cost as much

// Results of so many bytes would only push out of the caches what is needed sooner; written past them, their memory
// need not be read first.
constexpr std::int64_t past_cache_bytes = 8 * 1024 * 1024;

constexpr std::int64_t norm_groups = 16;  // of blocks, over which a batch norm's sums are formed separately

// Whether a sequence of results is large enough to be written past the caches, and lies so that it can be.
template <class S, class Problem>
bool goes_past_cache(const Problem& p, const void* result, std::int64_t strip) {
    const auto at_lines = [](std::uintptr_t bytes) { return bytes % cache_line == 0; };
    return p.steps * p.size * static_cast<std::int64_t>(sizeof(S)) >= past_cache_bytes &&
           at_lines(reinterpret_cast<std::uintptr_t>(result)) && at_lines(p.size * sizeof(S)) &&
           at_lines(strip * sizeof(S));
}

// What was written past the caches is visible to other threads only after this.
inline void end_of_block(bool past_cache) {
    if (past_cache) std::atomic_thread_fence(std::memory_order_seq_cst);
}

// The batch norm of a problem: memory for every step's rows, and for the channels' sums.
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

    // Adds `sums` [steps, 2, stride] to the channels' own, `total` [steps, 2, channels].
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

// At most `size` neurons, and a whole number of strips; fewer where the threads would else have too little to share.
// With a batch norm the number of threads does not count, so that its sums do not depend on it.
template <class Problem>
std::int64_t block_of(const Problem& p, std::int64_t size, std::int64_t strip) {
    const std::int64_t share = p.size / (p.channels ? norm_groups : 4 * std::max(p.threads, 1));
    return std::max<std::int64_t>(std::min(size, share) / strip, 1) * strip;
}

}  // namespace clif
