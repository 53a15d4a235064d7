// The loops for the instruction set for which the compiler builds by default.
#define CLIF_ISA baseline

#include "scalar.hpp"  // first, because the loops use its `Number`

#include "loops.hpp"
