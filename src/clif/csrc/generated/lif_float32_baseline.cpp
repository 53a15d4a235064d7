// Written by `python -m clif.generate.shipped`.
#define CLIF_ISA baseline

#include "../unit.hpp"

#include "../scalar.hpp"

#include "../strips.hpp"
#include "lif.hpp"

namespace clif::CLIF_ISA {

bool lif_float32(std::uint64_t key, Unit& unit) { return find<float>(key, unit); }

}  // namespace clif::CLIF_ISA
