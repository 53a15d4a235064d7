// Vectors of numbers, with the operators and functions of the plain numbers in scalar.hpp. avx2.hpp, avx512.hpp and
// neon.hpp define the parts that differ between instruction sets; the compiler itself has the arithmetic of vectors.
//
// Vectors are faster than loops over plain numbers that the compiler vectorises: bounds become a minimum and a maximum
// rather than comparisons, and AVX-512 has instructions for the parts of 2^y.
#pragma once

#include "numeric.hpp"

namespace clif::CLIF_ISA {

template <class R>
struct Native;  // the compiler's types (`Lanes` of a vector, `Mask` of a comparison's result) and functions of them

template <class R>
struct Vector {
    using Lanes = typename Native<R>::Lanes;
    using Mask = typename Native<R>::Mask;
    static constexpr std::ptrdiff_t size = sizeof(Lanes) / sizeof(R);

    Lanes lanes;

    CLIF_INLINE Vector() = default;
    CLIF_INLINE Vector(Lanes from) : lanes(from) {}
    CLIF_INLINE Vector(R x) : lanes(Native<R>::repeat(x)) {}

    CLIF_INLINE Vector operator-() const { return -lanes; }
    CLIF_INLINE Vector& operator+=(Vector x) { return *this = *this + x; }

    friend CLIF_INLINE Vector operator+(Vector a, Vector b) { return a.lanes + b.lanes; }
    friend CLIF_INLINE Vector operator-(Vector a, Vector b) { return a.lanes - b.lanes; }
    friend CLIF_INLINE Vector operator*(Vector a, Vector b) { return a.lanes * b.lanes; }
    friend CLIF_INLINE Vector operator/(Vector a, Vector b) { return a.lanes / b.lanes; }
    friend CLIF_INLINE Mask operator<(Vector a, Vector b) { return Native<R>::less(a.lanes, b.lanes); }
    friend CLIF_INLINE Mask operator<=(Vector a, Vector b) { return Native<R>::not_above(a.lanes, b.lanes); }
    friend CLIF_INLINE Vector select(Mask condition, Vector yes, Vector no) {
        return Native<R>::select(condition, yes.lanes, no.lanes);
    }
    friend CLIF_INLINE Mask equal(Vector a, Vector b) { return Native<R>::equal(a.lanes, b.lanes); }
    friend CLIF_INLINE Vector root(Vector x) { return Native<R>::root(x.lanes); }
    friend CLIF_INLINE Vector absolute(Vector x) { return Native<R>::absolute(x.lanes); }
    friend CLIF_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
        return Native<R>::multiply_add(a.lanes, b.lanes, c.lanes);
    }
};

template <class R>
using Number = Vector<R>;

// Select the elements that are loaded or stored: as many as a vector has, or the first `count` of them. A load sets the
// other elements of the vector to 0.
struct All {};

struct First {
    std::ptrdiff_t count;
};

template <class S>
CLIF_INLINE Vector<Compute<S>> load(const S* from, All) {
    return Native<Compute<S>>::load(from);
}

template <class S>
CLIF_INLINE Vector<Compute<S>> load(const S* from, First some) {
    return Native<Compute<S>>::load(from, some.count);
}

template <class R>
CLIF_INLINE void store(R* to, Vector<R> x, All) {
    Native<R>::store(to, x.lanes);
}

template <class R>
CLIF_INLINE void store(R* to, Vector<R> x, First some) {
    Native<R>::store(to, x.lanes, some.count);
}

// Like `store`, but past the caches if `past_cache`: each instruction set has a `stream` for that.
template <class S, class R>
CLIF_INLINE void write(S* to, Vector<R> x, bool past_cache) {
    if (past_cache) stream(to, x);
    else store(to, x, All{});
}

// Writes 1 if a neuron fires, else 0.
template <class R, class Mask>
CLIF_INLINE void write_spike(R* to, Mask fires, bool past_cache) {
    write(to, select(fires, Vector<R>(1), Vector<R>(0)), past_cache);
}

// a * b - c without rounding the product.
template <class R>
CLIF_INLINE Vector<R> fused_difference(Vector<R> a, Vector<R> b, Vector<R> c) {
    return multiply_add(a, b, -c);
}

// Applies a function of plain numbers to each lane.
template <class R, class Function>
CLIF_INLINE Vector<R> by_lane(Vector<R> a, Vector<R> b, const Function& function) {
    constexpr std::ptrdiff_t size = Vector<R>::size;
    R first[size], second[size];
    store(first, a, All{});
    store(second, b, All{});
    for (std::ptrdiff_t i = 0; i < size; ++i) first[i] = function(first[i], second[i]);
    return load(first, All{});
}

// A positive normal number as mantissa * 2^exponent, 1 <= mantissa < 2.
template <class R>
struct Parts {
    Vector<R> exponent, mantissa;
};

// 1 / (1 + 2^y). With vectors, `result` needs no change: `split` keeps y within its bounds, or the limits follow from
// the instructions.
template <class R>
CLIF_INLINE Vector<R> with_limits(Vector<R>, Vector<R> result) {
    return result;
}

// Calls work(i, which) so that each element in [0, n) is selected once.
template <class R, class Work>
CLIF_INLINE void over_numbers(std::ptrdiff_t n, const Work& work) {
    constexpr std::ptrdiff_t size = Vector<R>::size;
    std::ptrdiff_t i = 0;
    for (; i + size <= n; i += size) work(i, All{});
    if (i < n) work(i, First{n - i});
}

// Calls work(k) for the `Number`s of a strip of neurons, in an unrolled loop.
template <int count, class Work>
CLIF_INLINE void over(const Work& work) {
    CLIF_UNROLL for (int k = 0; k < count; ++k) work(k);
}

}  // namespace clif::CLIF_ISA
