// The loops for AVX-512.
#include "begin_avx512.hpp"

#ifdef CLIF_X86
#include "loops.hpp"

#include "end_isa.hpp"
#endif
