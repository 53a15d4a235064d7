// Written by `python -m clif.generate.shipped`.
#include "../begin_neon.hpp"

#ifdef CLIF_NEON
#include "../strips.hpp"
#include "clif.hpp"

namespace clif::CLIF_ISA {

bool clif_bfloat16(std::uint64_t key, Unit& unit) { return find<clif::Bfloat16>(key, unit); }

}  // namespace clif::CLIF_ISA

#include "../end_isa.hpp"
#endif
