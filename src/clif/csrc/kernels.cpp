// The C interface of the kernels, called through ctypes by `clif.ops.cpu`.

#include <new>

#include "neuron.hpp"
#include "norm.hpp"
#include "spikes.hpp"

#if defined(__GNUC__)
#define CLIF_EXPORT __attribute__((visibility("default")))
#else
#define CLIF_EXPORT
#endif

using namespace clif;

namespace {

// Calls work with a value of the storage type; 0, or 1 where there is no memory for the scratch.
template <class Work>
int with_dtype(std::int32_t dtype, const Work& work) {
    try {
        switch (dtype) {
            case 0: work(float()); break;
            case 1: work(Bfloat16()); break;
            default: work(double());
        }
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

}  // namespace

extern "C" {

CLIF_EXPORT int clif_forward(const Problem* p) {
    return with_dtype(p->dtype, [&](auto s) { forward<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_backward(const Problem* p) {
    return with_dtype(p->dtype, [&](auto s) { backward<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_norm_statistics(const NormProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { norm_statistics<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_norm_backward(const NormProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { norm_backward<decltype(s)>(*p); });
}

// Elements [size] to their bits, 64 in a word: `spikes` tells whether all are 0 or one other number, which `height` gets.
CLIF_EXPORT int clif_pack(void* elements, std::int64_t size, std::int32_t dtype, std::int32_t threads,
                          std::uint64_t* words, double* height, std::int32_t* spikes) {
    return with_dtype(dtype, [&](auto s) {
        Spikes<decltype(s)> all{size, s, static_cast<decltype(s)*>(elements), words};
        *spikes = pack(all, threads);
        *height = widen(all.height);
    });
}

CLIF_EXPORT int clif_unpack(void* elements, std::int64_t size, std::int32_t dtype, std::int32_t threads,
                            std::uint64_t* words, double height) {
    return with_dtype(dtype, [&](auto s) {
        using S = decltype(s);
        if constexpr (std::is_same_v<S, Bfloat16>) s = narrow(static_cast<float>(height));
        else s = static_cast<S>(height);
        unpack(Spikes<S>{size, s, static_cast<S*>(elements), words}, threads);
    });
}

// The longest row of channels that a batch norm may have.
CLIF_EXPORT int clif_most_channels() { return static_cast<int>(longest_chunk); }

// The best instruction set of this machine: 0 baseline, 1 AVX2, 2 AVX-512, 3 the same with BF16.
CLIF_EXPORT int clif_isa() { return static_cast<int>(best_isa()); }
}
