// The beginning of a file for AVX-512; end_isa.hpp is its end.
//
// Shared headers are included before the compiler is told of the instruction set, because their code must run on every
// machine. All other code is in the namespace CLIF_ISA, so that the linker does not mix up the instruction sets.
#pragma once

#define CLIF_ISA avx512

#include "unit.hpp"

#ifdef CLIF_X86

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif

#include "avx512.hpp"  // first, because the loops use its `Number`

#endif
