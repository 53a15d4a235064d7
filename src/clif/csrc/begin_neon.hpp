// The beginning of a file for NEON, the vectors of every 64-bit ARM processor; end_isa.hpp is its end.
#pragma once

#define CLIF_ISA neon

#include "unit.hpp"

#ifdef CLIF_NEON

// NEON needs no compiler option; the current options are saved only because end_isa.hpp restores them.
#ifdef __clang__
#pragma clang attribute push
#else
#pragma GCC push_options
#endif

#include "neon.hpp"  // first, because the loops use its `Number`

#endif
