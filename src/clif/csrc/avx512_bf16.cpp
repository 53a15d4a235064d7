// The loops for AVX-512 with BF16, in bfloat16 only.
#include "begin_avx512_bf16.hpp"

#ifdef CLIF_AVX512_BF16
#include "loops.hpp"

#include "end_isa.hpp"
#endif
