// Tensors of spikes with one bit per element.
#pragma once

#include "work.hpp"
#include "threads.hpp"

namespace clif {

constexpr std::int64_t words_at_once = 512;  // in one item of the threads' work

// Runs job(part) over the spikes, cut at whole words.
template <class S, class Job>
void over_spikes(const Spikes<S>& all, std::int64_t threads, const Job& job) {
    const std::int64_t part = words_at_once * word_bits;
    over_items<S>((all.size + part - 1) / part, threads, all.size, 0, [&](S*, std::int64_t item) {
        const std::int64_t first = item * part;
        job(Spikes<S>{std::min(part, all.size - first), all.spike, all.elements + first,
                      all.words + first / word_bits});
    });
}

// Packs the elements into `words`, and returns how many are spikes: all elements other than 0 have the same value,
// which becomes `spike`. Returns -1 if they differ.
template <class S>
std::int64_t pack(Spikes<S>& spikes, std::int64_t threads, int isa) {
    const auto loop = loops_for<S>(isa).pack;
    for (std::int64_t i = 0; i < spikes.size; ++i) {
        if (widen(spikes.elements[i]) != 0) {
            spikes.spike = spikes.elements[i];
            break;
        }
    }
    std::atomic<std::int64_t> strange{0}, count{0};
    over_spikes(spikes, threads, [&](const Spikes<S>& part) {
        if (strange != 0) return;
        strange += loop(part);
        std::int64_t fired = 0;
        for (std::int64_t i = 0; i * word_bits < part.size; ++i) fired += bits_set(part.words[i]);
        count += fired;
    });
    return strange == 0 ? count.load() : -1;
}

template <class S>
void unpack(const Spikes<S>& spikes, std::int64_t threads, int isa) {
    const auto loop = loops_for<S>(isa).unpack;
    over_spikes(spikes, threads, [&](const Spikes<S>& part) { loop(part); });
}

}  // namespace clif
