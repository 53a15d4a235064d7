// The loops for NEON.
#include "begin_neon.hpp"

#ifdef CLIF_NEON
#include "loops.hpp"

#include "end_isa.hpp"
#endif
