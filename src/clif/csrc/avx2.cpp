// The loops for AVX2.
#include "begin_avx2.hpp"

#ifdef CLIF_X86
#include "loops.hpp"

#include "end_isa.hpp"
#endif
