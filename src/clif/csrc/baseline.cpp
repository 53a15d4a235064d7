// The loops for whatever instruction set the compiler was told to build for.
#define CLIF_ISA baseline

#include "scalar.hpp"  // first, as the loops are written in its numbers

#include "loops.hpp"
