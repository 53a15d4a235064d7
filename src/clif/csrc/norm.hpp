// Batch norm with the statistics of every time step: the parts that are not fused with the neuron (`Norm` in work.hpp).
//
// Sequences are [steps, pixels, channels]. A chunk is a whole number of pixels, and rows of channels are repeated to
// its length.
#pragma once

#include <cmath>

#include "threads.hpp"
#include "work.hpp"

namespace clif {

// The minimum and maximum length of a chunk, in elements. The maximum bounds the memory for rows of channels.
constexpr std::int64_t norm_chunk_size = 128, longest_chunk = 2048;

// The length of a chunk: a whole number of pixels.
inline std::int64_t chunk_of(std::int64_t channels) {
    return (norm_chunk_size + channels - 1) / channels * channels;
}

// Repeats a row of channels to the length of a chunk.
template <class S>
void repeat_channels(const S* channels, std::int64_t count, std::int64_t chunk, Compute<S>* to) {
    for (std::int64_t i = 0; i < chunk; ++i) to[i] = widen(channels[i % count]);
}

// Runs job(scratch, t, part, first, n) over every step's elements [first, first + n), cut into sum_parts parts.
template <class R, class Job>
void over_parts(const NormProblem& p, std::int64_t chunk, std::int64_t scratch_size, const Job& job) {
    const std::int64_t size = p.pixels * p.channels;
    const std::int64_t part = ((size + sum_parts - 1) / sum_parts + chunk - 1) / chunk * chunk;
    over_items<R>(p.steps * sum_parts, p.threads, p.steps * size, scratch_size, [&](R* scratch, std::int64_t item) {
        const std::int64_t first = item % sum_parts * part;
        if (first < size) job(scratch, item / sum_parts, item, first, std::min(part, size - first));
    });
}

// The mean and variance of every step and channel over the pixels. A variance is the mean of squares minus the square
// of the mean, both of the distances from the step's first pixel, so that nothing cancels if the mean is far from 0.
template <class S>
void norm_statistics(const NormProblem& p) {
    using R = Compute<S>;
    constexpr std::int64_t chunks_at_once = 64;  // summed up in R before they are added in double
    const std::int64_t C = p.channels, chunk = chunk_of(C);
    const auto loop = loops_for<S>(p.isa).norm_statistics;
    const auto step = [&](std::int64_t t) { return static_cast<const S*>(p.x) + t * p.x_stride; };
    std::vector<double> sums(p.steps * sum_parts * 2 * C);
    over_parts<R>(p, chunk, 3 * chunk,
                  [&](R* scratch, std::int64_t t, std::int64_t item, std::int64_t first, std::int64_t n) {
        R* const pivot = scratch;
        repeat_channels(step(t), C, chunk, pivot);
        NormRow<S> row{};
        row.chunk = chunk;
        row.pivot = pivot;
        row.sum = scratch + chunk;
        row.square = scratch + 2 * chunk;
        double* const total = sums.data() + item * 2 * C;
        for (std::int64_t i = 0; i < n; i += chunks_at_once * chunk) {
            std::fill_n(row.sum, 2 * chunk, R(0));
            row.x = step(t) + first + i;
            row.size = std::min(chunks_at_once * chunk, n - i);
            loop(row);
            for (std::int64_t j = 0; j < chunk; ++j) {
                total[j % C] += row.sum[j];
                total[C + j % C] += row.square[j];
            }
        }
    });
    for (std::int64_t t = 0; t < p.steps; ++t) {
        const S* const pivot = step(t);
        for (std::int64_t c = 0; c < C; ++c) {
            double sum = 0, square = 0;
            for (std::int64_t item = t * sum_parts; item < (t + 1) * sum_parts; ++item) {
                sum += sums[item * 2 * C + c];
                square += sums[item * 2 * C + C + c];
            }
            const double mean = sum / p.pixels;
            static_cast<R*>(p.mean)[t * C + c] = static_cast<R>(widen(pivot[c]) + mean);
            static_cast<R*>(p.var)[t * C + c] = static_cast<R>(std::max(square / p.pixels - mean * mean, 0.0));
        }
    }
}

template <class S>
void norm_backward(const NormProblem& p) {
    using R = Compute<S>;
    const std::int64_t C = p.channels, chunk = chunk_of(C);
    const auto loop = loops_for<S>(p.isa).norm_backward;
    over_parts<R>(p, chunk, 3 * chunk,
                  [&](R* scratch, std::int64_t t, std::int64_t, std::int64_t first, std::int64_t n) {
        const R* repeated[3];
        int i = 0;
        for (const void* factor : {p.of_dx, p.of_x, p.constant}) {
            R* const to = scratch + i * chunk;
            repeat_channels(static_cast<const R*>(factor) + t * C, C, chunk, to);
            repeated[i++] = to;
        }
        NormRow<S> row{};
        row.size = n;
        row.chunk = chunk;
        row.x = static_cast<const S*>(p.x) + t * p.x_stride + first;
        row.dx = static_cast<S*>(p.dx) + t * p.pixels * C + first;
        row.of_dx = repeated[0];
        row.of_x = repeated[1];
        row.constant = repeated[2];
        loop(row);
    });
}

}  // namespace clif
