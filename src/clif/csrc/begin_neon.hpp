// What a file for NEON, the vectors of every 64-bit ARM processor, begins with; end_isa.hpp ends it.
#pragma once

#define CLIF_ISA neon

#include "unit.hpp"

#ifdef CLIF_NEON

// The compiler need not be told of NEON: there are only options for end_isa.hpp to restore.
#ifdef __clang__
#pragma clang attribute push
#else
#pragma GCC push_options
#endif

#include "neon.hpp"  // first, as the loops are written in its numbers

#endif
