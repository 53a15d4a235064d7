// Work that threads share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#define CLIF_UNIX 1
#include <dlfcn.h>
#endif

namespace clif {

constexpr std::int64_t steps_per_thread = 16384;  // element-steps for which one more thread pays off
constexpr std::size_t cache_line = 64;            // bytes

// A sum over many values is cut into so many parts, each with its own sum, which are then added up in order. It does
// not depend on the number of threads, so the result does not either.
constexpr std::int64_t sum_parts = 16;

// Calls work(worker) on up to `workers` threads, each with its own number in [0, workers).
//
// PyTorch's OpenMP threads wait busily for a while after each operation, and threads of our own would compete with them
// for the processors. So this function uses the threads of the OpenMP runtime that PyTorch has loaded, through its
// entry point, and starts its own only if there is no such runtime. If the system grants fewer threads, they do all the
// work.
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

// The items that one thread begins with. A thread takes an item by increasing `next`.
struct alignas(cache_line) Share {
    std::atomic<std::int64_t> next;
    std::int64_t end;
};

// Runs job(scratch, item) for the items [0, items), on up to `threads` threads: as many as pay off for so many
// element-steps. Each has its own scratch of `scratch_size` elements, which begins at a cache line.
//
// Every thread has a contiguous share of the items and, after it, takes items of the other threads. Handing out items
// one by one would be slower: a thread would then prefetch what another thread writes.
template <class R, class Job>
void over_items(std::int64_t items, std::int64_t threads, std::int64_t element_steps, std::int64_t scratch_size,
                const Job& job) {
    const std::int64_t useful = std::min(items, element_steps / steps_per_thread);
    const std::int64_t workers = std::max<std::int64_t>(1, std::min(threads, useful));
    std::size_t bytes = workers * scratch_size * sizeof(R);
    std::size_t room = bytes + cache_line;
    const std::unique_ptr<char[]> memory(new char[room]);
    void* start = memory.get();
    R* const scratch = static_cast<R*>(std::align(cache_line, bytes, start, room));
    std::vector<Share> shares(workers);
    for (std::int64_t i = 0; i < workers; ++i) {
        shares[i].next = items * i / workers;
        shares[i].end = items * (i + 1) / workers;
    }
    std::atomic<bool> no_memory{false};  // no exception may leave a thread
    on_threads(workers, [&](std::int64_t worker) {
        try {
            for (std::int64_t i = 0; i < workers; ++i) {
                Share& share = shares[(worker + i) % workers];
                for (std::int64_t item; (item = share.next.fetch_add(1)) < share.end;)
                    job(scratch + worker * scratch_size, item);
            }
        } catch (const std::bad_alloc&) {
            no_memory = true;
        }
    });
    if (no_memory) throw std::bad_alloc();
}

}  // namespace clif
