// Written by `python -m clif.generate.shipped`.
#include "../interface.hpp"
#include "../unit.hpp"

namespace clif {

namespace baseline {
bool clif_float32(std::uint64_t, Unit&);
bool lif_float32(std::uint64_t, Unit&);
bool plif_float32(std::uint64_t, Unit&);
bool clif_bfloat16(std::uint64_t, Unit&);
bool lif_bfloat16(std::uint64_t, Unit&);
bool plif_bfloat16(std::uint64_t, Unit&);
bool clif_float64(std::uint64_t, Unit&);
bool lif_float64(std::uint64_t, Unit&);
bool plif_float64(std::uint64_t, Unit&);
}
#ifdef CLIF_X86
namespace avx2 {
bool clif_float32(std::uint64_t, Unit&);
bool lif_float32(std::uint64_t, Unit&);
bool plif_float32(std::uint64_t, Unit&);
bool clif_bfloat16(std::uint64_t, Unit&);
bool lif_bfloat16(std::uint64_t, Unit&);
bool plif_bfloat16(std::uint64_t, Unit&);
bool clif_float64(std::uint64_t, Unit&);
bool lif_float64(std::uint64_t, Unit&);
bool plif_float64(std::uint64_t, Unit&);
}
#endif
#ifdef CLIF_X86
namespace avx512 {
bool clif_float32(std::uint64_t, Unit&);
bool lif_float32(std::uint64_t, Unit&);
bool plif_float32(std::uint64_t, Unit&);
}
#endif
#ifdef CLIF_AVX512_BF16
namespace avx512_bf16 {
bool clif_bfloat16(std::uint64_t, Unit&);
bool lif_bfloat16(std::uint64_t, Unit&);
bool plif_bfloat16(std::uint64_t, Unit&);
}
#endif
#ifdef CLIF_NEON
namespace neon {
bool clif_float32(std::uint64_t, Unit&);
bool lif_float32(std::uint64_t, Unit&);
bool plif_float32(std::uint64_t, Unit&);
bool clif_bfloat16(std::uint64_t, Unit&);
bool lif_bfloat16(std::uint64_t, Unit&);
bool plif_bfloat16(std::uint64_t, Unit&);
bool clif_float64(std::uint64_t, Unit&);
bool lif_float64(std::uint64_t, Unit&);
bool plif_float64(std::uint64_t, Unit&);
}
#endif

}  // namespace clif

using namespace clif;

// Sets `unit` to a program's; `key` is 64 bits of the SHA-256 of its text. Returns 0 if there is none.
extern "C" CLIF_EXPORT int clif_shipped_unit(std::uint64_t key, std::int32_t dtype, std::int32_t isa, Unit* unit) {
    if (!has_isa(isa) || dtype < 0 || dtype >= 3) return 0;
    switch (isa * 3 + dtype) {
        case 0:
            return baseline::clif_float32(key, *unit) ||
                   baseline::lif_float32(key, *unit) ||
                   baseline::plif_float32(key, *unit);
        case 1:
            return baseline::clif_bfloat16(key, *unit) ||
                   baseline::lif_bfloat16(key, *unit) ||
                   baseline::plif_bfloat16(key, *unit);
        case 2:
            return baseline::clif_float64(key, *unit) ||
                   baseline::lif_float64(key, *unit) ||
                   baseline::plif_float64(key, *unit);
#ifdef CLIF_X86
        case 3:
            return avx2::clif_float32(key, *unit) ||
                   avx2::lif_float32(key, *unit) ||
                   avx2::plif_float32(key, *unit);
        case 4:
            return avx2::clif_bfloat16(key, *unit) ||
                   avx2::lif_bfloat16(key, *unit) ||
                   avx2::plif_bfloat16(key, *unit);
        case 5:
            return avx2::clif_float64(key, *unit) ||
                   avx2::lif_float64(key, *unit) ||
                   avx2::plif_float64(key, *unit);
#endif
#ifdef CLIF_X86
        case 6:
            return avx512::clif_float32(key, *unit) ||
                   avx512::lif_float32(key, *unit) ||
                   avx512::plif_float32(key, *unit);
#endif
#ifdef CLIF_AVX512_BF16
        case 10:
            return avx512_bf16::clif_bfloat16(key, *unit) ||
                   avx512_bf16::lif_bfloat16(key, *unit) ||
                   avx512_bf16::plif_bfloat16(key, *unit);
#endif
#ifdef CLIF_NEON
        case 12:
            return neon::clif_float32(key, *unit) ||
                   neon::lif_float32(key, *unit) ||
                   neon::plif_float32(key, *unit);
        case 13:
            return neon::clif_bfloat16(key, *unit) ||
                   neon::lif_bfloat16(key, *unit) ||
                   neon::plif_bfloat16(key, *unit);
        case 14:
            return neon::clif_float64(key, *unit) ||
                   neon::lif_float64(key, *unit) ||
                   neon::plif_float64(key, *unit);
#endif
        default: return 0;
    }
}
