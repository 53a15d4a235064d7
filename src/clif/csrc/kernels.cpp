// The C interface of the kernels, called through ctypes by `clif.ops.cpu`.

#include <new>

#include "neuron.hpp"
#include "norm.hpp"

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

// The longest row of channels that a batch norm may have.
CLIF_EXPORT int clif_most_channels() { return static_cast<int>(longest_chunk); }

// The best instruction set of this machine: 0 baseline, 1 AVX2, 2 AVX-512.
CLIF_EXPORT int clif_isa() { return static_cast<int>(best_isa()); }
}
