// Definitions that the files of the C interface share.
#pragma once

#include <new>

#include "work.hpp"

#if defined(__GNUC__)
#define CLIF_EXPORT __attribute__((visibility("default")))
#else
#define CLIF_EXPORT
#endif

namespace clif {

// Calls `work` with a value of the storage type, and returns a Status. Nothing is computed if the dtype or instruction
// set is unknown.
template <class Work>
int with_dtype(std::int32_t dtype, const Work& work) {
    try {
        switch (dtype) {
            case 0: work(float()); break;
            case 1: work(Bfloat16()); break;
            case 2: work(double()); break;
            default: throw Unknown{Status::dtype};
        }
    } catch (const std::bad_alloc&) {
        return static_cast<int>(Status::no_memory);
    } catch (const Unknown& unknown) {
        return static_cast<int>(unknown.what);
    }
    return static_cast<int>(Status::done);
}

}  // namespace clif
