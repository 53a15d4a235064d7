// What a unit that is compiled by itself begins with: CLIF_ISA is its instruction set, of which the compiler was told.
#pragma once

#include "work.hpp"

#if defined(__AVX512F__)
#include "avx512.hpp"
#elif defined(__AVX2__)
#include "avx2.hpp"
#else
#include "scalar.hpp"
#endif

#include "strips.hpp"
