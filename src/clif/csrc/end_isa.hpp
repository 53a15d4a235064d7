// The end of a file for an instruction set that began with begin_avx2.hpp or a header like it.
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
