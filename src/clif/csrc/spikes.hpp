// Tensors of spikes as one bit an element.
#pragma once

#include "rows.hpp"
#include "threads.hpp"

namespace clif {

constexpr std::int64_t word_bits = 64;
constexpr std::int64_t words_at_once = 512;  // of an item, a share of a thread's work

// Elements and their bits; `height` is what a spike counts.
template <class S>
struct Spikes {
    std::int64_t size;
    S height;
    S* elements;
    std::uint64_t* words;
};

template <class S>
CLIF_INLINE Compute<S> value(S x) {
    if constexpr (std::is_same_v<S, Bfloat16>) return widen(x);
    else return x;
}

// Sets the bit of every element that is not 0; `strange` counts those that are neither 0 nor a spike.
template <class S>
struct Packing {
    Spikes<S> spikes;
    std::int64_t* strange;
};

struct PackLoop {
    template <class Arithmetic, class S>
    static CLIF_INLINE void run(const Packing<S>& packing) {
        using R = Compute<S>;
        const Spikes<S>& spikes = packing.spikes;
        const R height = value(spikes.height);
        std::int64_t strange = 0;
        for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
            const S* __restrict x = spikes.elements + first;
            const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
            std::uint64_t word = 0;
#pragma omp simd reduction(| : word) reduction(+ : strange)
            for (std::int64_t i = 0; i < n; ++i) {
                const R x_i = value(x[i]);
                const bool fired = x_i != 0;
                strange += fired && x_i != height;
                word |= static_cast<std::uint64_t>(fired) << i;
            }
            spikes.words[first / word_bits] = word;
        }
        *packing.strange += strange;
    }
};

struct UnpackLoop {
    template <class Arithmetic, class S>
    static CLIF_INLINE void run(const Spikes<S>& spikes) {
        for (std::int64_t first = 0; first < spikes.size; first += word_bits) {
            S* __restrict x = spikes.elements + first;
            const std::int64_t n = spikes.size - first < word_bits ? spikes.size - first : word_bits;
            const std::uint64_t word = spikes.words[first / word_bits];
#pragma omp simd
            for (std::int64_t i = 0; i < n; ++i) x[i] = (word >> i) & 1 ? spikes.height : S{};
        }
    }
};

// Runs job(part) over the spikes, cut at whole words.
template <class S, class Job>
void over_spikes(const Spikes<S>& all, std::int64_t threads, const Job& job) {
    const std::int64_t part = words_at_once * word_bits;
    over_items<S>((all.size + part - 1) / part, threads, all.size, 0, [&](S*, std::int64_t item) {
        const std::int64_t first = item * part;
        job(Spikes<S>{std::min(part, all.size - first), all.height, all.elements + first,
                      all.words + first / word_bits});
    });
}

// Whether the elements were all 0 or one and the same other number, `height`, and so are now in `words`.
template <class S>
bool pack(Spikes<S>& spikes, std::int64_t threads) {
    const auto loop = compile_for<PackLoop, Packing<S>>(best_isa());
    for (std::int64_t i = 0; i < spikes.size; ++i) {
        if (value(spikes.elements[i]) != 0) {
            spikes.height = spikes.elements[i];
            break;
        }
    }
    std::atomic<std::int64_t> strange{0};
    over_spikes(spikes, threads, [&](const Spikes<S>& part) {
        if (strange != 0) return;
        std::int64_t found = 0;
        loop({part, &found});
        strange += found;
    });
    return strange == 0;
}

template <class S>
void unpack(const Spikes<S>& spikes, std::int64_t threads) {
    const auto loop = compile_for<UnpackLoop, Spikes<S>>(best_isa());
    over_spikes(spikes, threads, [&](const Spikes<S>& part) { loop(part); });
}

}  // namespace clif
