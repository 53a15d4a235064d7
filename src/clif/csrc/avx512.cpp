// The loops for AVX-512. What they share with the rest is included first: it must run on every machine.
#define CLIF_ISA avx512

#include "rows.hpp"

#ifdef CLIF_X86

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif

#include "avx512.hpp"
//
#include "loops.hpp"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
