// The loops in bfloat16 for AVX-512 with the instruction that rounds to it; otherwise as avx512.cpp.
#define CLIF_ISA avx512_bf16
#define CLIF_BFLOAT16_ONLY

#include "work.hpp"

#ifdef CLIF_AVX512_BF16

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
#endif

#include "avx512.hpp"  // first, as the loops are written in its numbers

#include "loops.hpp"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
