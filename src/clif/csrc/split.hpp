// A number as fraction + integer, for instruction sets that have no instruction for it.
#pragma once

#include "vector.hpp"

namespace clif::CLIF_ISA {

// A number within Exp2<R>::bound as fraction + integer, |fraction| <= 1/2.
template <class R>
struct Split {
    Vector<R> fraction;
    typename Native<R>::Bits integer;  // in the lowest bits of every element
};

template <class R>
CLIF_INLINE Split<R> split(Vector<R> y) {
    y = Native<R>::within(y.lanes, Exp2<R>::bound);
    const Vector<R> shifted = y + Exp2<R>::rounder;
    return {y - (shifted - Exp2<R>::rounder), Native<R>::bits(shifted.lanes)};
}

template <class R>
CLIF_INLINE Vector<R> scaled(Vector<R> power, typename Native<R>::Bits integer) {
    return power * Vector<R>(Native<R>::power_of_2(integer));
}

}  // namespace clif::CLIF_ISA
