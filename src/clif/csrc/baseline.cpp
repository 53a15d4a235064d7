// The loops for whatever instruction set the compiler was told to build for.
#define CLIF_ISA baseline

#include "scalar.hpp"
//
#include "loops.hpp"
