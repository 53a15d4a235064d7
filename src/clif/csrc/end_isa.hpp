// What a file for an instruction set ends with, which begin_avx2.hpp or the like began.
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
