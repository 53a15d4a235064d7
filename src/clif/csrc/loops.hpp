// The inner loops, compiled once for every instruction set. baseline.cpp, avx2.cpp, avx512.cpp, avx512_bf16.cpp and
// neon.cpp include this header after they have defined the namespace, CLIF_ISA, and the type `Number`. Lambdas are
// always inlined, as functions are.
#pragma once

#include "work.hpp"

namespace clif::CLIF_ISA {

// Calls work(first, n) for the chunks of a row of `size` elements.
template <class Work>
CLIF_INLINE void over_chunks(std::ptrdiff_t size, std::ptrdiff_t chunk, const Work& work) {
    for (std::ptrdiff_t first = 0; first < size; first += chunk)
        work(first, chunk < size - first ? chunk : size - first);
}

template <class S>
void norm_statistics_row(const NormRow<S>& row) {
    using R = Compute<S>;
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
            const Number<R> distance = load(row.x + first + i, which) - load(row.pivot + i, which);
            store(row.sum + i, load(row.sum + i, which) + distance, which);
            store(row.square + i, load(row.square + i, which) + distance * distance, which);
        });
    });
}

template <class S>
void norm_backward_row(const NormRow<S>& row) {
    using R = Compute<S>;
    over_chunks(row.size, row.chunk, [&](std::ptrdiff_t first, std::ptrdiff_t n) CLIF_INLINE_LAMBDA {
        S* const dx = row.dx + first;
        over_numbers<R>(n, [&](std::ptrdiff_t i, auto which) CLIF_INLINE_LAMBDA {
            const Number<R> scaled_dx = load(dx + i, which) * load(row.of_dx + i, which);
            const Number<R> scaled_x = load(row.x + first + i, which) * load(row.of_x + i, which);
            store(dx + i, scaled_dx + scaled_x + load(row.constant + i, which), which);
        });
    });
}

template <class S>
std::int64_t pack(const Spikes<S>& spikes) {
    using R = Compute<S>;
    const R spike = widen(spikes.spike);
    std::int64_t strange = 0;
    for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
        const S* __restrict x = spikes.elements + first;
        const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
        std::uint64_t word = 0;
#pragma omp simd reduction(| : word) reduction(+ : strange)
        for (std::int64_t i = 0; i < n; ++i) {
            const R x_i = widen(x[i]);
            const bool fired = x_i != 0;
            strange += fired && x_i != spike;
            word |= static_cast<std::uint64_t>(fired) << i;
        }
        spikes.words[first / word_bits] = word;
    }
    return strange;
}

template <class S>
void unpack(const Spikes<S>& spikes) {
    for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
        S* __restrict x = spikes.elements + first;
        const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
        const std::uint64_t word = spikes.words[first / word_bits];
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) x[i] = (word >> i) & 1 ? spikes.spike : S{};
    }
}

// Sums the even and the odd rows separately, so that an addition need not wait for the one before it.
template <class R>
void add_rows(const RowSums<R>& sums) {
    constexpr std::ptrdiff_t size = sizeof(Number<R>) / sizeof(R), numbers = row_block<R> / size;
    for (std::ptrdiff_t row = 0; row < sums.count; ++row) {
        const Range range = sums.ranges[row];
        if (range.begin == range.end) continue;
        R* const to = sums.to + row * row_block<R>;
        Number<R> even[numbers], odd[numbers];
        for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] = odd[k] = R(0);
        std::uint32_t i = range.begin;
        for (; i + 1 < range.end; i += 2) {
            const R *const a = sums.from + sums.places[i], *const b = sums.from + sums.places[i + 1];
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] += load(a + k * size, All{});
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) odd[k] += load(b + k * size, All{});
        }
        if (i < range.end) {
            const R* const a = sums.from + sums.places[i];
            CLIF_UNROLL for (std::ptrdiff_t k = 0; k < numbers; ++k) even[k] += load(a + k * size, All{});
        }
        for (std::ptrdiff_t k = 0; k < numbers; ++k)
            store(to + k * size, load(to + k * size, All{}) + (even[k] + odd[k]), All{});
    }
}

template <class S>
Loops<S> loops() {
    return {norm_statistics_row<S>, norm_backward_row<S>, pack<S>, unpack<S>, add_rows<Compute<S>>};
}

#ifndef CLIF_BFLOAT16_ONLY
template Loops<float> loops<float>();
template Loops<double> loops<double>();
#endif
template Loops<Bfloat16> loops<Bfloat16>();

}  // namespace clif::CLIF_ISA
