// Written by `python -m clif.generate.shipped`.
#define CLIF_ISA baseline

#include "../unit.hpp"

#include "../scalar.hpp"

#include "../strips.hpp"
#include "clif.hpp"

namespace clif::CLIF_ISA {

bool clif_bfloat16(std::uint64_t key, Unit& unit) { return find<clif::Bfloat16>(key, unit); }

}  // namespace clif::CLIF_ISA
