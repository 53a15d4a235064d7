// What a file for AVX-512 with BF16, in bfloat16 only, begins with; end_isa.hpp ends it.
//
// What it shares with the rest is included before the compiler is told of the instruction set: it must run on every
// machine. Everything else is in a namespace of its own, so that the linker does not take one for the other.
#pragma once

#define CLIF_ISA avx512_bf16
#define CLIF_BFLOAT16_ONLY

#include "unit.hpp"

#ifdef CLIF_AVX512_BF16

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
#endif

#include "avx512.hpp"  // first, as the loops are written in its numbers

#endif
