// What a file for AVX2 begins with; end_isa.hpp ends it.
//
// What it shares with the rest is included before the compiler is told of the instruction set: it must run on every
// machine. Everything else is in a namespace of its own, so that the linker does not take one for the other.
#pragma once

#define CLIF_ISA avx2

#include "unit.hpp"

#ifdef CLIF_X86

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "avx2.hpp"  // first, as the loops are written in its numbers

#endif
