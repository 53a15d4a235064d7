// The C interface of the kernels, called through ctypes by `clif.ops.cpu`.

#include "channel_sums.hpp"
#include "interface.hpp"
#include "norm.hpp"
#include "spike_conv.hpp"
#include "spikes.hpp"

#ifdef CLIF_X86
#include <cpuid.h>
#elif defined(CLIF_NEON) && defined(__linux__)
#include <sys/auxv.h>
#endif

using namespace clif;

extern "C" {

CLIF_EXPORT int clif_norm_statistics(const NormProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { norm_statistics<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_norm_backward(const NormProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { norm_backward<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_channel_sums(const SumProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { channel_sums<Compute<decltype(s)>>(*p); });
}

CLIF_EXPORT int clif_pack(PackProblem* p) {
    return with_dtype(p->dtype, [&](auto s) {
        Spikes<decltype(s)> all{p->size, s, static_cast<decltype(s)*>(p->elements), p->words};
        p->count = pack(all, p->threads, p->isa);
        p->spike = widen(all.spike);
    });
}

CLIF_EXPORT int clif_unpack(const PackProblem* p) {
    return with_dtype(p->dtype, [&](auto s) {
        using S = decltype(s);
        if constexpr (std::is_same_v<S, Bfloat16>) s = narrow(static_cast<float>(p->spike));
        else s = static_cast<S>(p->spike);
        unpack(Spikes<S>{p->size, s, static_cast<S*>(p->elements), p->words}, p->threads, p->isa);
    });
}

CLIF_EXPORT int clif_spike_conv_forward(const SpikeConvProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { spike_conv_forward<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_spike_conv_backward(const SpikeConvProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { spike_conv_backward<decltype(s)>(*p); });
}

// The version of this interface; it changes with every change of a function or struct.
CLIF_EXPORT int clif_interface() { return 6; }

// The size of a struct of problem.hpp, numbered as in `clif.ops.isa`.
CLIF_EXPORT std::int64_t clif_struct_bytes(std::int32_t which) {
    constexpr std::int64_t bytes[] = {sizeof(NormProblem), sizeof(PackProblem), sizeof(SpikeConvProblem),
                                      sizeof(NeuronProblem), sizeof(SumProblem)};
    return which >= 0 && which < static_cast<std::int32_t>(sizeof(bytes) / sizeof(*bytes)) ? bytes[which] : 0;
}

// The maximum number of channels of a batch norm.
CLIF_EXPORT int clif_most_channels() { return static_cast<int>(longest_chunk); }

// The hardware that multiplies in bfloat16: 0 none, 1 the vector units (AVX512-BF16, ARM's BF16), 2 the tiles (AMX).
CLIF_EXPORT int clif_bfloat16_unit() {
#ifdef CLIF_X86
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1) return 2;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1) return 1;
#elif defined(CLIF_NEON) && defined(__linux__)
    constexpr unsigned long bfloat16 = 1UL << 14;  // HWCAP2_BF16
    if (getauxval(AT_HWCAP2) & bfloat16) return 1;
#endif
    return 0;
}

// The best instruction set of this machine: 0 baseline, 1 AVX2, 2 AVX-512, 3 AVX-512 with BF16, 4 NEON.
CLIF_EXPORT int clif_isa() { return static_cast<int>(best_isa()); }
}
