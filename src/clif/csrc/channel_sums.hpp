// Sums over each channel of values that every neuron has: the gradients of coefficients.
#pragma once

#include "interface.hpp"
#include "threads.hpp"

namespace clif {

constexpr std::int64_t sums_at_once = 64;  // numbers that are added in R; their sum is then added in double
constexpr std::int64_t sum_lanes = 32;     // partial sums of a run, added up in parallel

template <class R>
double sum_of_run(const R* run, std::int64_t size) {
    R lanes[sum_lanes]{};
    const std::int64_t whole = size / sum_lanes * sum_lanes;
    for (std::int64_t i = 0; i < whole; i += sum_lanes) {
#pragma omp simd
        for (std::int64_t k = 0; k < sum_lanes; ++k) lanes[k] += run[i + k];
    }
    double sum = 0;
    for (const R lane : lanes) sum += lane;
    for (std::int64_t i = whole; i < size; ++i) sum += run[i];
    return sum;
}

// Adds up `count` consecutive rows of `period` numbers: number i of a row is added to sums[i / inner].
template <class R>
void add_periods(const R* rows, std::int64_t count, std::int64_t period, std::int64_t inner, R* partial, double* sums) {
    for (std::int64_t first = 0; first < count; first += sums_at_once) {
        std::fill_n(partial, period, R(0));
        for (std::int64_t row = first; row < std::min(count, first + sums_at_once); ++row) {
            const R* const from = rows + row * period;
#pragma omp simd
            for (std::int64_t i = 0; i < period; ++i) partial[i] += from[i];
        }
        for (std::int64_t i = 0; i < period; ++i) sums[i / inner] += partial[i];
    }
}

// Sums the values [outer, channels, inner] over outer and inner.
template <class R>
void channel_sums(const SumProblem& p) {
    constexpr std::int64_t piece = sum_lanes * sums_at_once, shortest_run = sum_lanes;
    const R* const values = static_cast<const R*>(p.values);
    const std::int64_t C = p.channels, size = p.outer * C * p.inner;
    const bool by_row = p.inner < shortest_run;
    const std::int64_t pieces = (p.inner + piece - 1) / piece;  // of a run
    const std::int64_t count = by_row ? p.outer : p.outer * C * pieces, period = C * p.inner;
    std::vector<double> sums(sum_parts * C);
    const auto add = [&](R* partial, std::int64_t item) {
        double* const own = sums.data() + item * C;
        const std::int64_t first = count * item / sum_parts, end = count * (item + 1) / sum_parts;
        if (by_row) return add_periods(values + first * period, end - first, period, p.inner, partial, own);
        for (std::int64_t i = first; i < end; ++i) {
            const std::int64_t run = i / pieces, from = i % pieces * piece;
            own[run % C] += sum_of_run(values + run * p.inner + from, std::min(piece, p.inner - from));
        }
    };
    if (size != 0) over_items<R>(sum_parts, p.threads, size, by_row ? period : 0, add);
    for (std::int64_t c = 0; c < C; ++c) {
        p.sums[c] = 0;
        for (std::int64_t item = 0; item < sum_parts; ++item) p.sums[c] += sums[item * C + c];
    }
}

}  // namespace clif
