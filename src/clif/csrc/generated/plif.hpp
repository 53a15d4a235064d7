// Written by `python -m clif.generate.shipped`.
#pragma once

namespace clif::CLIF_ISA {
namespace {

// states z coefficients l constants 3
// %0 = mul s0 k0
// %1 = add %0 x
// %2 = sub %1 c0
// %3 = fire %2 #0.0
// %4 = detachif %3 c1
// %5 = mul %4 c2
// %6 = sub %1 %5
// out %3 %6
struct Forward0 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v12 = v5 - h.c2;
            const auto v8 = N(R(0.0)) <= v7;
            const auto v13 = select(v8, v12, v5);
            s[0][i] = v13;
            fire(i, v8);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(FromRest, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 - h.c0;
            const auto v8 = v1 - h.c2;
            const auto v4 = N(R(0.0)) <= v3;
            const auto v9 = select(v4, v8, v1);
            s[0][i] = v9;
            fire(i, v4);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Last, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v8 = N(R(0.0)) <= v7;
            fire(i, v8);
        });
    }
};

// states z coefficients l constants 5
// %0 = mul s0 k0
// %1 = add %0 x
// %2 = sub %1 c0
// %3 = abs %2
// %4 = le %3 c3
// %5 = where %4 #1.0 #0.0
// %6 = div %5 c4
// %7 = fire %2 %6
// %8 = detachif %7 c1
// %9 = mul %8 c2
// %10 = sub %1 %9
// out %7 %10
struct Backward0 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c1, c4, u5, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c1 = N(constants[1]);
            c4 = N(constants[4]);
            u5 = N(R(1.0)) / c4;
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v12 = v5 - h.c2;
            const auto v8 = N(R(0.0)) <= v7;
            const auto v13 = select(v8, v12, v5);
            const auto v14 = absolute(v7);
            s[0][i] = v13;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v14;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = d[0][i];
            const auto v21 = -v17;
            const auto v20 = d_spike.at(i);
            const auto v23 = multiply_add(v21, h.c2, v20);
            const auto v19 = equal(h.c1, N(R(0.0)));
            const auto v24 = select(v19, v23, v20);
            const auto v28 = multiply_add(v24, h.u5, v17);
            const auto v14 = tape[1 * numbers + i];
            const auto v16 = v14 <= h.c3;
            const auto v29 = select(v16, v28, v17);
            const auto v30 = v29 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v31 = v29 * v1;
            write_dx(i, v29);
            d[0][i] = v30;
            d_k[0][i] += v31;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 - h.c0;
            const auto v8 = v1 - h.c2;
            const auto v4 = N(R(0.0)) <= v3;
            const auto v9 = select(v4, v8, v1);
            const auto v10 = absolute(v3);
            s[0][i] = v9;
            tape[0 * numbers + i] = v10;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v13 = d[0][i];
            const auto v17 = -v13;
            const auto v16 = d_spike.at(i);
            const auto v19 = multiply_add(v17, h.c2, v16);
            const auto v15 = equal(h.c1, N(R(0.0)));
            const auto v20 = select(v15, v19, v16);
            const auto v24 = multiply_add(v20, h.u5, v13);
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 <= h.c3;
            const auto v25 = select(v12, v24, v13);
            write_dx(i, v25);
            d_k[0][i] += N(R(0.0));
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v14 = absolute(v7);
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v14;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = d_spike.at(i);
            const auto v20 = v17 * h.u5;
            const auto v14 = tape[1 * numbers + i];
            const auto v16 = v14 <= h.c3;
            const auto v21 = select(v16, v20, N(R(0.0)));
            const auto v22 = v20 * h.k0;
            const auto v23 = select(v16, v22, N(R(0.0)));
            const auto v1 = tape[0 * numbers + i];
            const auto v24 = v20 * v1;
            const auto v25 = select(v16, v24, N(R(0.0)));
            write_dx(i, v21);
            d[0][i] = v23;
            d_k[0][i] += v25;
        });
    }
};

// states z coefficients l constants 5
// %0 = mul s0 k0
// %1 = add %0 x
// %2 = sub %1 c0
// %3 = mul c4 %2
// %4 = sigmoid %3
// %5 = mul c3 %4
// %6 = sub #1.0 %4
// %7 = mul %5 %6
// %8 = fire %2 %7
// %9 = detachif %8 c1
// %10 = mul %9 c2
// %11 = sub %1 %10
// out %8 %11
struct Backward1 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c4, c1, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v12 = v5 - h.c2;
            const auto v8 = N(R(0.0)) <= v7;
            const auto v13 = select(v8, v12, v5);
            const auto v25 = sigmoid<R>(v7, h.c4);
            const auto v26 = h.c3 * v25;
            const auto v27 = N(R(1.0)) - v25;
            const auto v28 = v26 * v27;
            s[0][i] = v13;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v28;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d[0][i];
            const auto v18 = -v14;
            const auto v17 = d_spike.at(i);
            const auto v20 = multiply_add(v18, h.c2, v17);
            const auto v16 = equal(h.c1, N(R(0.0)));
            const auto v21 = select(v16, v20, v17);
            const auto v28 = tape[1 * numbers + i];
            const auto v30 = multiply_add(v21, v28, v14);
            const auto v31 = v30 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v32 = v30 * v1;
            write_dx(i, v30);
            d[0][i] = v31;
            d_k[0][i] += v32;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 - h.c0;
            const auto v8 = v1 - h.c2;
            const auto v4 = N(R(0.0)) <= v3;
            const auto v9 = select(v4, v8, v1);
            const auto v21 = sigmoid<R>(v3, h.c4);
            const auto v22 = h.c3 * v21;
            const auto v23 = N(R(1.0)) - v21;
            const auto v24 = v22 * v23;
            s[0][i] = v9;
            tape[0 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = d[0][i];
            const auto v14 = -v10;
            const auto v13 = d_spike.at(i);
            const auto v16 = multiply_add(v14, h.c2, v13);
            const auto v12 = equal(h.c1, N(R(0.0)));
            const auto v17 = select(v12, v16, v13);
            const auto v24 = tape[0 * numbers + i];
            const auto v26 = multiply_add(v17, v24, v10);
            write_dx(i, v26);
            d_k[0][i] += N(R(0.0));
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v18 = sigmoid<R>(v7, h.c4);
            const auto v19 = h.c3 * v18;
            const auto v20 = N(R(1.0)) - v18;
            const auto v21 = v19 * v20;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v21;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d_spike.at(i);
            const auto v21 = tape[1 * numbers + i];
            const auto v22 = v14 * v21;
            const auto v23 = v22 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v24 = v22 * v1;
            write_dx(i, v22);
            d[0][i] = v23;
            d_k[0][i] += v24;
        });
    }
};

// states z coefficients l constants 5
// %0 = mul s0 k0
// %1 = add %0 x
// %2 = sub %1 c0
// %3 = abs %2
// %4 = mul c4 %3
// %5 = sub #1.0 %4
// %6 = lt %5 #0.0
// %7 = where %6 #0.0 %5
// %8 = mul c3 %7
// %9 = fire %2 %8
// %10 = detachif %9 c1
// %11 = mul %10 c2
// %12 = sub %1 %11
// out %9 %12
struct Backward2 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c4, c1, c3, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v12 = v5 - h.c2;
            const auto v8 = N(R(0.0)) <= v7;
            const auto v13 = select(v8, v12, v5);
            const auto v15 = absolute(v7);
            const auto v16 = h.c4 * v15;
            const auto v17 = N(R(1.0)) - v16;
            s[0][i] = v13;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v17;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = d[0][i];
            const auto v23 = -v19;
            const auto v22 = d_spike.at(i);
            const auto v25 = multiply_add(v23, h.c2, v22);
            const auto v21 = equal(h.c1, N(R(0.0)));
            const auto v26 = select(v21, v25, v22);
            const auto v17 = tape[1 * numbers + i];
            const auto v28 = h.c3 * v17;
            const auto v30 = multiply_add(v26, v28, v19);
            const auto v18 = v17 < N(R(0.0));
            const auto v31 = select(v18, v19, v30);
            const auto v32 = v31 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v33 = v31 * v1;
            write_dx(i, v31);
            d[0][i] = v32;
            d_k[0][i] += v33;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 - h.c0;
            const auto v8 = v1 - h.c2;
            const auto v4 = N(R(0.0)) <= v3;
            const auto v9 = select(v4, v8, v1);
            const auto v11 = absolute(v3);
            const auto v12 = h.c4 * v11;
            const auto v13 = N(R(1.0)) - v12;
            s[0][i] = v9;
            tape[0 * numbers + i] = v13;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v15 = d[0][i];
            const auto v19 = -v15;
            const auto v18 = d_spike.at(i);
            const auto v21 = multiply_add(v19, h.c2, v18);
            const auto v17 = equal(h.c1, N(R(0.0)));
            const auto v22 = select(v17, v21, v18);
            const auto v13 = tape[0 * numbers + i];
            const auto v24 = h.c3 * v13;
            const auto v26 = multiply_add(v22, v24, v15);
            const auto v14 = v13 < N(R(0.0));
            const auto v27 = select(v14, v15, v26);
            write_dx(i, v27);
            d_k[0][i] += N(R(0.0));
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v15 = absolute(v7);
            const auto v16 = h.c4 * v15;
            const auto v17 = N(R(1.0)) - v16;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v17;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = tape[1 * numbers + i];
            const auto v21 = h.c3 * v17;
            const auto v19 = d_spike.at(i);
            const auto v22 = v19 * v21;
            const auto v18 = v17 < N(R(0.0));
            const auto v23 = select(v18, N(R(0.0)), v22);
            const auto v24 = v22 * h.k0;
            const auto v25 = select(v18, N(R(0.0)), v24);
            const auto v1 = tape[0 * numbers + i];
            const auto v26 = v22 * v1;
            const auto v27 = select(v18, N(R(0.0)), v26);
            write_dx(i, v23);
            d[0][i] = v25;
            d_k[0][i] += v27;
        });
    }
};

// states z coefficients l constants 5
// %0 = mul s0 k0
// %1 = add %0 x
// %2 = sub %1 c0
// %3 = mul c4 %2
// %4 = mul %3 %3
// %5 = add #1.0 %4
// %6 = div c3 %5
// %7 = fire %2 %6
// %8 = detachif %7 c1
// %9 = mul %8 c2
// %10 = sub %1 %9
// out %7 %10
struct Backward3 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c4, c1, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v12 = v5 - h.c2;
            const auto v8 = N(R(0.0)) <= v7;
            const auto v13 = select(v8, v12, v5);
            const auto v24 = h.c4 * v7;
            const auto v25 = v24 * v24;
            const auto v26 = N(R(1.0)) + v25;
            const auto v27 = h.c3 / v26;
            s[0][i] = v13;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v27;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d[0][i];
            const auto v18 = -v14;
            const auto v17 = d_spike.at(i);
            const auto v20 = multiply_add(v18, h.c2, v17);
            const auto v16 = equal(h.c1, N(R(0.0)));
            const auto v21 = select(v16, v20, v17);
            const auto v27 = tape[1 * numbers + i];
            const auto v29 = multiply_add(v21, v27, v14);
            const auto v30 = v29 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v31 = v29 * v1;
            write_dx(i, v29);
            d[0][i] = v30;
            d_k[0][i] += v31;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 - h.c0;
            const auto v8 = v1 - h.c2;
            const auto v4 = N(R(0.0)) <= v3;
            const auto v9 = select(v4, v8, v1);
            const auto v20 = h.c4 * v3;
            const auto v21 = v20 * v20;
            const auto v22 = N(R(1.0)) + v21;
            const auto v23 = h.c3 / v22;
            s[0][i] = v9;
            tape[0 * numbers + i] = v23;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = d[0][i];
            const auto v14 = -v10;
            const auto v13 = d_spike.at(i);
            const auto v16 = multiply_add(v14, h.c2, v13);
            const auto v12 = equal(h.c1, N(R(0.0)));
            const auto v17 = select(v12, v16, v13);
            const auto v23 = tape[0 * numbers + i];
            const auto v25 = multiply_add(v17, v23, v10);
            write_dx(i, v25);
            d_k[0][i] += N(R(0.0));
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.k0;
            const auto v4 = x.at(i);
            const auto v5 = v3 + v4;
            const auto v7 = v5 - h.c0;
            const auto v17 = h.c4 * v7;
            const auto v18 = v17 * v17;
            const auto v19 = N(R(1.0)) + v18;
            const auto v20 = h.c3 / v19;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v20;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d_spike.at(i);
            const auto v20 = tape[1 * numbers + i];
            const auto v21 = v14 * v20;
            const auto v22 = v21 * h.k0;
            const auto v1 = tape[0 * numbers + i];
            const auto v23 = v21 * v1;
            write_dx(i, v21);
            d[0][i] = v22;
            d_k[0][i] += v23;
        });
    }
};

// states z coefficients l constants 3
// %0 = sub #1.0 k0
// %1 = mul s0 %0
// %2 = mul x k0
// %3 = add %1 %2
// %4 = sub %3 c0
// %5 = fire %4 #0.0
// %6 = detachif %5 c1
// %7 = mul %6 c2
// %8 = sub %3 %7
// out %5 %8
struct Forward1 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v14 = v8 - h.c2;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, v14, v8);
            s[0][i] = v15;
            fire(i, v11);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(FromRest, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.k0;
            const auto v5 = v3 - h.c0;
            const auto v10 = v3 - h.c2;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            s[0][i] = v11;
            fire(i, v6);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Last, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v11 = N(R(0.0)) <= v10;
            fire(i, v11);
        });
    }
};

// states z coefficients l constants 5
// %0 = sub #1.0 k0
// %1 = mul s0 %0
// %2 = mul x k0
// %3 = add %1 %2
// %4 = sub %3 c0
// %5 = abs %4
// %6 = le %5 c3
// %7 = where %6 #1.0 #0.0
// %8 = div %7 c4
// %9 = fire %4 %8
// %10 = detachif %9 c1
// %11 = mul %10 c2
// %12 = sub %3 %11
// out %9 %12
struct Backward4 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c1, c4, u5, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c1 = N(constants[1]);
            c4 = N(constants[4]);
            u5 = N(R(1.0)) / c4;
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v14 = v8 - h.c2;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, v14, v8);
            const auto v16 = absolute(v10);
            s[0][i] = v15;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v16;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = d[0][i];
            const auto v23 = -v19;
            const auto v22 = d_spike.at(i);
            const auto v25 = multiply_add(v23, h.c2, v22);
            const auto v21 = equal(h.c1, N(R(0.0)));
            const auto v26 = select(v21, v25, v22);
            const auto v30 = multiply_add(v26, h.u5, v19);
            const auto v16 = tape[1 * numbers + i];
            const auto v18 = v16 <= h.c3;
            const auto v31 = select(v18, v30, v19);
            const auto v32 = v31 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v33 = v31 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v35 = v31 * v1;
            const auto v36 = -v35;
            const auto v6 = x.at(i);
            const auto v37 = multiply_add(v31, v6, v36);
            write_dx(i, v32);
            d[0][i] = v33;
            d_k[0][i] += v37;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.k0;
            const auto v5 = v3 - h.c0;
            const auto v10 = v3 - h.c2;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v12 = absolute(v5);
            s[0][i] = v11;
            tape[0 * numbers + i] = v12;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v15 = d[0][i];
            const auto v19 = -v15;
            const auto v18 = d_spike.at(i);
            const auto v21 = multiply_add(v19, h.c2, v18);
            const auto v17 = equal(h.c1, N(R(0.0)));
            const auto v22 = select(v17, v21, v18);
            const auto v26 = multiply_add(v22, h.u5, v15);
            const auto v12 = tape[0 * numbers + i];
            const auto v14 = v12 <= h.c3;
            const auto v27 = select(v14, v26, v15);
            const auto v28 = v27 * h.k0;
            const auto v1 = x.at(i);
            const auto v31 = v27 * v1;
            write_dx(i, v28);
            d_k[0][i] += v31;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v16 = absolute(v10);
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v16;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = d_spike.at(i);
            const auto v22 = v19 * h.u5;
            const auto v23 = v22 * h.k0;
            const auto v16 = tape[1 * numbers + i];
            const auto v18 = v16 <= h.c3;
            const auto v24 = select(v18, v23, N(R(0.0)));
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v25 = v22 * v4;
            const auto v26 = select(v18, v25, N(R(0.0)));
            const auto v1 = tape[0 * numbers + i];
            const auto v28 = v22 * v1;
            const auto v29 = -v28;
            const auto v6 = x.at(i);
            const auto v30 = multiply_add(v22, v6, v29);
            const auto v31 = select(v18, v30, N(R(0.0)));
            write_dx(i, v24);
            d[0][i] = v26;
            d_k[0][i] += v31;
        });
    }
};

// states z coefficients l constants 5
// %0 = sub #1.0 k0
// %1 = mul s0 %0
// %2 = mul x k0
// %3 = add %1 %2
// %4 = sub %3 c0
// %5 = mul c4 %4
// %6 = sigmoid %5
// %7 = mul c3 %6
// %8 = sub #1.0 %6
// %9 = mul %7 %8
// %10 = fire %4 %9
// %11 = detachif %10 c1
// %12 = mul %11 c2
// %13 = sub %3 %12
// out %10 %13
struct Backward5 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c4, c1, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v14 = v8 - h.c2;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, v14, v8);
            const auto v27 = sigmoid<R>(v10, h.c4);
            const auto v28 = h.c3 * v27;
            const auto v29 = N(R(1.0)) - v27;
            const auto v30 = v28 * v29;
            s[0][i] = v15;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v30;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d[0][i];
            const auto v20 = -v16;
            const auto v19 = d_spike.at(i);
            const auto v22 = multiply_add(v20, h.c2, v19);
            const auto v18 = equal(h.c1, N(R(0.0)));
            const auto v23 = select(v18, v22, v19);
            const auto v30 = tape[1 * numbers + i];
            const auto v32 = multiply_add(v23, v30, v16);
            const auto v33 = v32 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v34 = v32 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v36 = v32 * v1;
            const auto v37 = -v36;
            const auto v6 = x.at(i);
            const auto v38 = multiply_add(v32, v6, v37);
            write_dx(i, v33);
            d[0][i] = v34;
            d_k[0][i] += v38;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.k0;
            const auto v5 = v3 - h.c0;
            const auto v10 = v3 - h.c2;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v23 = sigmoid<R>(v5, h.c4);
            const auto v24 = h.c3 * v23;
            const auto v25 = N(R(1.0)) - v23;
            const auto v26 = v24 * v25;
            s[0][i] = v11;
            tape[0 * numbers + i] = v26;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v12 = d[0][i];
            const auto v16 = -v12;
            const auto v15 = d_spike.at(i);
            const auto v18 = multiply_add(v16, h.c2, v15);
            const auto v14 = equal(h.c1, N(R(0.0)));
            const auto v19 = select(v14, v18, v15);
            const auto v26 = tape[0 * numbers + i];
            const auto v28 = multiply_add(v19, v26, v12);
            const auto v29 = v28 * h.k0;
            const auto v1 = x.at(i);
            const auto v32 = v28 * v1;
            write_dx(i, v29);
            d_k[0][i] += v32;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v20 = sigmoid<R>(v10, h.c4);
            const auto v21 = h.c3 * v20;
            const auto v22 = N(R(1.0)) - v20;
            const auto v23 = v21 * v22;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v23;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d_spike.at(i);
            const auto v23 = tape[1 * numbers + i];
            const auto v24 = v16 * v23;
            const auto v25 = v24 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v26 = v24 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v28 = v24 * v1;
            const auto v29 = -v28;
            const auto v6 = x.at(i);
            const auto v30 = multiply_add(v24, v6, v29);
            write_dx(i, v25);
            d[0][i] = v26;
            d_k[0][i] += v30;
        });
    }
};

// states z coefficients l constants 5
// %0 = sub #1.0 k0
// %1 = mul s0 %0
// %2 = mul x k0
// %3 = add %1 %2
// %4 = sub %3 c0
// %5 = abs %4
// %6 = mul c4 %5
// %7 = sub #1.0 %6
// %8 = lt %7 #0.0
// %9 = where %8 #0.0 %7
// %10 = mul c3 %9
// %11 = fire %4 %10
// %12 = detachif %11 c1
// %13 = mul %12 c2
// %14 = sub %3 %13
// out %11 %14
struct Backward6 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c4, c1, c3, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v14 = v8 - h.c2;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, v14, v8);
            const auto v17 = absolute(v10);
            const auto v18 = h.c4 * v17;
            const auto v19 = N(R(1.0)) - v18;
            s[0][i] = v15;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v19;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v21 = d[0][i];
            const auto v25 = -v21;
            const auto v24 = d_spike.at(i);
            const auto v27 = multiply_add(v25, h.c2, v24);
            const auto v23 = equal(h.c1, N(R(0.0)));
            const auto v28 = select(v23, v27, v24);
            const auto v19 = tape[1 * numbers + i];
            const auto v30 = h.c3 * v19;
            const auto v32 = multiply_add(v28, v30, v21);
            const auto v20 = v19 < N(R(0.0));
            const auto v33 = select(v20, v21, v32);
            const auto v34 = v33 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v35 = v33 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v37 = v33 * v1;
            const auto v38 = -v37;
            const auto v6 = x.at(i);
            const auto v39 = multiply_add(v33, v6, v38);
            write_dx(i, v34);
            d[0][i] = v35;
            d_k[0][i] += v39;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.k0;
            const auto v5 = v3 - h.c0;
            const auto v10 = v3 - h.c2;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v13 = absolute(v5);
            const auto v14 = h.c4 * v13;
            const auto v15 = N(R(1.0)) - v14;
            s[0][i] = v11;
            tape[0 * numbers + i] = v15;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = d[0][i];
            const auto v21 = -v17;
            const auto v20 = d_spike.at(i);
            const auto v23 = multiply_add(v21, h.c2, v20);
            const auto v19 = equal(h.c1, N(R(0.0)));
            const auto v24 = select(v19, v23, v20);
            const auto v15 = tape[0 * numbers + i];
            const auto v26 = h.c3 * v15;
            const auto v28 = multiply_add(v24, v26, v17);
            const auto v16 = v15 < N(R(0.0));
            const auto v29 = select(v16, v17, v28);
            const auto v30 = v29 * h.k0;
            const auto v1 = x.at(i);
            const auto v33 = v29 * v1;
            write_dx(i, v30);
            d_k[0][i] += v33;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v17 = absolute(v10);
            const auto v18 = h.c4 * v17;
            const auto v19 = N(R(1.0)) - v18;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v19;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = tape[1 * numbers + i];
            const auto v23 = h.c3 * v19;
            const auto v21 = d_spike.at(i);
            const auto v24 = v21 * v23;
            const auto v25 = v24 * h.k0;
            const auto v20 = v19 < N(R(0.0));
            const auto v26 = select(v20, N(R(0.0)), v25);
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v27 = v24 * v4;
            const auto v28 = select(v20, N(R(0.0)), v27);
            const auto v1 = tape[0 * numbers + i];
            const auto v30 = v24 * v1;
            const auto v31 = -v30;
            const auto v6 = x.at(i);
            const auto v32 = multiply_add(v24, v6, v31);
            const auto v33 = select(v20, N(R(0.0)), v32);
            write_dx(i, v26);
            d[0][i] = v28;
            d_k[0][i] += v33;
        });
    }
};

// states z coefficients l constants 5
// %0 = sub #1.0 k0
// %1 = mul s0 %0
// %2 = mul x k0
// %3 = add %1 %2
// %4 = sub %3 c0
// %5 = mul c4 %4
// %6 = mul %5 %5
// %7 = add #1.0 %6
// %8 = div c3 %7
// %9 = fire %4 %8
// %10 = detachif %9 c1
// %11 = mul %10 c2
// %12 = sub %3 %11
// out %9 %12
struct Backward7 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c2, c3, c4, c1, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c1 = N(constants[1]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v14 = v8 - h.c2;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, v14, v8);
            const auto v26 = h.c4 * v10;
            const auto v27 = v26 * v26;
            const auto v28 = N(R(1.0)) + v27;
            const auto v29 = h.c3 / v28;
            s[0][i] = v15;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v29;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d[0][i];
            const auto v20 = -v16;
            const auto v19 = d_spike.at(i);
            const auto v22 = multiply_add(v20, h.c2, v19);
            const auto v18 = equal(h.c1, N(R(0.0)));
            const auto v23 = select(v18, v22, v19);
            const auto v29 = tape[1 * numbers + i];
            const auto v31 = multiply_add(v23, v29, v16);
            const auto v32 = v31 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v33 = v31 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v35 = v31 * v1;
            const auto v36 = -v35;
            const auto v6 = x.at(i);
            const auto v37 = multiply_add(v31, v6, v36);
            write_dx(i, v32);
            d[0][i] = v33;
            d_k[0][i] += v37;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.k0;
            const auto v5 = v3 - h.c0;
            const auto v10 = v3 - h.c2;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v22 = h.c4 * v5;
            const auto v23 = v22 * v22;
            const auto v24 = N(R(1.0)) + v23;
            const auto v25 = h.c3 / v24;
            s[0][i] = v11;
            tape[0 * numbers + i] = v25;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v12 = d[0][i];
            const auto v16 = -v12;
            const auto v15 = d_spike.at(i);
            const auto v18 = multiply_add(v16, h.c2, v15);
            const auto v14 = equal(h.c1, N(R(0.0)));
            const auto v19 = select(v14, v18, v15);
            const auto v25 = tape[0 * numbers + i];
            const auto v27 = multiply_add(v19, v25, v12);
            const auto v28 = v27 * h.k0;
            const auto v1 = x.at(i);
            const auto v31 = v27 * v1;
            write_dx(i, v28);
            d_k[0][i] += v31;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v1 = s[0][i];
            const auto v5 = v1 * v4;
            const auto v6 = x.at(i);
            const auto v7 = v6 * h.k0;
            const auto v8 = v5 + v7;
            const auto v10 = v8 - h.c0;
            const auto v19 = h.c4 * v10;
            const auto v20 = v19 * v19;
            const auto v21 = N(R(1.0)) + v20;
            const auto v22 = h.c3 / v21;
            tape[0 * numbers + i] = v1;
            tape[1 * numbers + i] = v22;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d_spike.at(i);
            const auto v22 = tape[1 * numbers + i];
            const auto v23 = v16 * v22;
            const auto v24 = v23 * h.k0;
            const auto v4 = N(R(1.0)) - h.k0;
            const auto v25 = v23 * v4;
            const auto v1 = tape[0 * numbers + i];
            const auto v27 = v23 * v1;
            const auto v28 = -v27;
            const auto v6 = x.at(i);
            const auto v29 = multiply_add(v23, v6, v28);
            write_dx(i, v24);
            d[0][i] = v25;
            d_k[0][i] += v29;
        });
    }
};

// states r coefficients l constants 4
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = add %2 x
// %4 = sub %3 c1
// %5 = fire %4 #0.0
// %6 = detachif %5 c2
// %7 = sub #1.0 %6
// %8 = mul %7 %3
// %9 = mul %6 c3
// %10 = add %8 %9
// out %5 %10
struct Forward2 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, h.c3, v8);
            s[0][i] = v15;
            fire(i, v11);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Last, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            fire(i, v11);
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = add %2 x
// %4 = sub %3 c1
// %5 = abs %4
// %6 = le %5 c4
// %7 = where %6 #1.0 #0.0
// %8 = div %7 c5
// %9 = fire %4 %8
// %10 = detachif %9 c2
// %11 = sub #1.0 %10
// %12 = mul %11 %3
// %13 = mul %10 c3
// %14 = add %12 %13
// out %9 %14
struct Backward8 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c2, c5, u6, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c2 = N(constants[2]);
            c5 = N(constants[5]);
            u6 = N(R(1.0)) / c5;
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, h.c3, v8);
            s[0][i] = v15;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v8;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v8 = tape[1 * numbers + i];
            const auto v10 = v8 - h.c1;
            const auto v16 = absolute(v10);
            const auto v22 = d[0][i];
            const auto v24 = v22 * v8;
            const auto v25 = -v24;
            const auto v26 = multiply_add(v22, h.c3, v25);
            const auto v21 = d_spike.at(i);
            const auto v27 = v21 + v26;
            const auto v20 = equal(h.c2, N(R(0.0)));
            const auto v28 = select(v20, v27, v21);
            const auto v31 = v28 * h.u6;
            const auto v18 = v16 <= h.c4;
            const auto v32 = select(v18, v31, N(R(0.0)));
            const auto v33 = v22 + v32;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v34 = select(v11, v32, v33);
            const auto v35 = -v34;
            const auto v37 = multiply_add(v35, h.k0, v34);
            const auto v3 = tape[0 * numbers + i];
            const auto v38 = v35 * v3;
            write_dx(i, v34);
            d[0][i] = v37;
            d_k[0][i] += v38;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v16 = absolute(v10);
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v16;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = d_spike.at(i);
            const auto v22 = v19 * h.u6;
            const auto v16 = tape[1 * numbers + i];
            const auto v18 = v16 <= h.c4;
            const auto v23 = select(v18, v22, N(R(0.0)));
            const auto v24 = -v22;
            const auto v26 = multiply_add(v24, h.k0, v22);
            const auto v27 = select(v18, v26, N(R(0.0)));
            const auto v3 = tape[0 * numbers + i];
            const auto v28 = v24 * v3;
            const auto v29 = select(v18, v28, N(R(0.0)));
            write_dx(i, v23);
            d[0][i] = v27;
            d_k[0][i] += v29;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = add %2 x
// %4 = sub %3 c1
// %5 = mul c5 %4
// %6 = sigmoid %5
// %7 = mul c4 %6
// %8 = sub #1.0 %6
// %9 = mul %7 %8
// %10 = fire %4 %9
// %11 = detachif %10 c2
// %12 = sub #1.0 %11
// %13 = mul %12 %3
// %14 = mul %11 c3
// %15 = add %13 %14
// out %10 %15
struct Backward9 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c5, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, h.c3, v8);
            const auto v29 = sigmoid<R>(v10, h.c5);
            const auto v30 = h.c4 * v29;
            const auto v31 = N(R(1.0)) - v29;
            const auto v32 = v30 * v31;
            s[0][i] = v15;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v8;
            tape[2 * numbers + i] = v32;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v8 = tape[1 * numbers + i];
            const auto v10 = v8 - h.c1;
            const auto v19 = d[0][i];
            const auto v21 = v19 * v8;
            const auto v22 = -v21;
            const auto v23 = multiply_add(v19, h.c3, v22);
            const auto v18 = d_spike.at(i);
            const auto v24 = v18 + v23;
            const auto v17 = equal(h.c2, N(R(0.0)));
            const auto v25 = select(v17, v24, v18);
            const auto v32 = tape[2 * numbers + i];
            const auto v33 = v25 * v32;
            const auto v34 = v19 + v33;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v35 = select(v11, v33, v34);
            const auto v36 = -v35;
            const auto v38 = multiply_add(v36, h.k0, v35);
            const auto v3 = tape[0 * numbers + i];
            const auto v39 = v36 * v3;
            write_dx(i, v35);
            d[0][i] = v38;
            d_k[0][i] += v39;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v20 = sigmoid<R>(v10, h.c5);
            const auto v21 = h.c4 * v20;
            const auto v22 = N(R(1.0)) - v20;
            const auto v23 = v21 * v22;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v23;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d_spike.at(i);
            const auto v23 = tape[1 * numbers + i];
            const auto v24 = v16 * v23;
            const auto v25 = -v24;
            const auto v27 = multiply_add(v25, h.k0, v24);
            const auto v3 = tape[0 * numbers + i];
            const auto v28 = v25 * v3;
            write_dx(i, v24);
            d[0][i] = v27;
            d_k[0][i] += v28;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = add %2 x
// %4 = sub %3 c1
// %5 = abs %4
// %6 = mul c5 %5
// %7 = sub #1.0 %6
// %8 = lt %7 #0.0
// %9 = where %8 #0.0 %7
// %10 = mul c4 %9
// %11 = fire %4 %10
// %12 = detachif %11 c2
// %13 = sub #1.0 %12
// %14 = mul %13 %3
// %15 = mul %12 c3
// %16 = add %14 %15
// out %11 %16
struct Backward10 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c5, c2, c4, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, h.c3, v8);
            const auto v17 = absolute(v10);
            const auto v18 = h.c5 * v17;
            const auto v19 = N(R(1.0)) - v18;
            s[0][i] = v15;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v8;
            tape[2 * numbers + i] = v19;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v8 = tape[1 * numbers + i];
            const auto v10 = v8 - h.c1;
            const auto v24 = d[0][i];
            const auto v26 = v24 * v8;
            const auto v27 = -v26;
            const auto v28 = multiply_add(v24, h.c3, v27);
            const auto v23 = d_spike.at(i);
            const auto v29 = v23 + v28;
            const auto v22 = equal(h.c2, N(R(0.0)));
            const auto v30 = select(v22, v29, v23);
            const auto v19 = tape[2 * numbers + i];
            const auto v32 = h.c4 * v19;
            const auto v33 = v30 * v32;
            const auto v20 = v19 < N(R(0.0));
            const auto v34 = select(v20, N(R(0.0)), v33);
            const auto v35 = v24 + v34;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v36 = select(v11, v34, v35);
            const auto v37 = -v36;
            const auto v39 = multiply_add(v37, h.k0, v36);
            const auto v3 = tape[0 * numbers + i];
            const auto v40 = v37 * v3;
            write_dx(i, v36);
            d[0][i] = v39;
            d_k[0][i] += v40;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v17 = absolute(v10);
            const auto v18 = h.c5 * v17;
            const auto v19 = N(R(1.0)) - v18;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v19;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = tape[1 * numbers + i];
            const auto v23 = h.c4 * v19;
            const auto v21 = d_spike.at(i);
            const auto v24 = v21 * v23;
            const auto v20 = v19 < N(R(0.0));
            const auto v25 = select(v20, N(R(0.0)), v24);
            const auto v26 = -v24;
            const auto v28 = multiply_add(v26, h.k0, v24);
            const auto v29 = select(v20, N(R(0.0)), v28);
            const auto v3 = tape[0 * numbers + i];
            const auto v30 = v26 * v3;
            const auto v31 = select(v20, N(R(0.0)), v30);
            write_dx(i, v25);
            d[0][i] = v29;
            d_k[0][i] += v31;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = add %2 x
// %4 = sub %3 c1
// %5 = mul c5 %4
// %6 = mul %5 %5
// %7 = add #1.0 %6
// %8 = div c4 %7
// %9 = fire %4 %8
// %10 = detachif %9 c2
// %11 = sub #1.0 %10
// %12 = mul %11 %3
// %13 = mul %10 c3
// %14 = add %12 %13
// out %9 %14
struct Backward11 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c5, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v15 = select(v11, h.c3, v8);
            const auto v28 = h.c5 * v10;
            const auto v29 = v28 * v28;
            const auto v30 = N(R(1.0)) + v29;
            const auto v31 = h.c4 / v30;
            s[0][i] = v15;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v8;
            tape[2 * numbers + i] = v31;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v8 = tape[1 * numbers + i];
            const auto v10 = v8 - h.c1;
            const auto v19 = d[0][i];
            const auto v21 = v19 * v8;
            const auto v22 = -v21;
            const auto v23 = multiply_add(v19, h.c3, v22);
            const auto v18 = d_spike.at(i);
            const auto v24 = v18 + v23;
            const auto v17 = equal(h.c2, N(R(0.0)));
            const auto v25 = select(v17, v24, v18);
            const auto v31 = tape[2 * numbers + i];
            const auto v32 = v25 * v31;
            const auto v33 = v19 + v32;
            const auto v11 = N(R(0.0)) <= v10;
            const auto v34 = select(v11, v32, v33);
            const auto v35 = -v34;
            const auto v37 = multiply_add(v35, h.k0, v34);
            const auto v3 = tape[0 * numbers + i];
            const auto v38 = v35 * v3;
            write_dx(i, v34);
            d[0][i] = v37;
            d_k[0][i] += v38;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v6 + v7;
            const auto v10 = v8 - h.c1;
            const auto v19 = h.c5 * v10;
            const auto v20 = v19 * v19;
            const auto v21 = N(R(1.0)) + v20;
            const auto v22 = h.c4 / v21;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v22;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v16 = d_spike.at(i);
            const auto v22 = tape[1 * numbers + i];
            const auto v23 = v16 * v22;
            const auto v24 = -v23;
            const auto v26 = multiply_add(v24, h.k0, v23);
            const auto v3 = tape[0 * numbers + i];
            const auto v27 = v24 * v3;
            write_dx(i, v23);
            d[0][i] = v26;
            d_k[0][i] += v27;
        });
    }
};

// states r coefficients l constants 4
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = mul x k0
// %4 = add %2 %3
// %5 = sub %4 c1
// %6 = fire %5 #0.0
// %7 = detachif %6 c2
// %8 = sub #1.0 %7
// %9 = mul %8 %4
// %10 = mul %7 c3
// %11 = add %9 %10
// out %6 %11
struct Forward3 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v16 = select(v12, h.c3, v9);
            s[0][i] = v16;
            fire(i, v12);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Last, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            fire(i, v12);
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = mul x k0
// %4 = add %2 %3
// %5 = sub %4 c1
// %6 = abs %5
// %7 = le %6 c4
// %8 = where %7 #1.0 #0.0
// %9 = div %8 c5
// %10 = fire %5 %9
// %11 = detachif %10 c2
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c3
// %15 = add %13 %14
// out %10 %15
struct Backward12 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c2, c5, u6, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c2 = N(constants[2]);
            c5 = N(constants[5]);
            u6 = N(R(1.0)) / c5;
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v16 = select(v12, h.c3, v9);
            s[0][i] = v16;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v9;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v9 = tape[1 * numbers + i];
            const auto v11 = v9 - h.c1;
            const auto v17 = absolute(v11);
            const auto v23 = d[0][i];
            const auto v25 = v23 * v9;
            const auto v26 = -v25;
            const auto v27 = multiply_add(v23, h.c3, v26);
            const auto v22 = d_spike.at(i);
            const auto v28 = v22 + v27;
            const auto v21 = equal(h.c2, N(R(0.0)));
            const auto v29 = select(v21, v28, v22);
            const auto v32 = v29 * h.u6;
            const auto v19 = v17 <= h.c4;
            const auto v33 = select(v19, v32, N(R(0.0)));
            const auto v34 = v23 + v33;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v35 = select(v12, v33, v34);
            const auto v36 = v35 * h.k0;
            const auto v37 = -v35;
            const auto v39 = multiply_add(v37, h.k0, v35);
            const auto v3 = tape[0 * numbers + i];
            const auto v41 = v37 * v3;
            const auto v7 = x.at(i);
            const auto v42 = multiply_add(v35, v7, v41);
            write_dx(i, v36);
            d[0][i] = v39;
            d_k[0][i] += v42;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v17 = absolute(v11);
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v17;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v20 = d_spike.at(i);
            const auto v23 = v20 * h.u6;
            const auto v24 = v23 * h.k0;
            const auto v17 = tape[1 * numbers + i];
            const auto v19 = v17 <= h.c4;
            const auto v25 = select(v19, v24, N(R(0.0)));
            const auto v26 = -v23;
            const auto v28 = multiply_add(v26, h.k0, v23);
            const auto v29 = select(v19, v28, N(R(0.0)));
            const auto v3 = tape[0 * numbers + i];
            const auto v31 = v26 * v3;
            const auto v7 = x.at(i);
            const auto v32 = multiply_add(v23, v7, v31);
            const auto v33 = select(v19, v32, N(R(0.0)));
            write_dx(i, v25);
            d[0][i] = v29;
            d_k[0][i] += v33;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = mul x k0
// %4 = add %2 %3
// %5 = sub %4 c1
// %6 = mul c5 %5
// %7 = sigmoid %6
// %8 = mul c4 %7
// %9 = sub #1.0 %7
// %10 = mul %8 %9
// %11 = fire %5 %10
// %12 = detachif %11 c2
// %13 = sub #1.0 %12
// %14 = mul %13 %4
// %15 = mul %12 c3
// %16 = add %14 %15
// out %11 %16
struct Backward13 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c5, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v16 = select(v12, h.c3, v9);
            const auto v30 = sigmoid<R>(v11, h.c5);
            const auto v31 = h.c4 * v30;
            const auto v32 = N(R(1.0)) - v30;
            const auto v33 = v31 * v32;
            s[0][i] = v16;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v9;
            tape[2 * numbers + i] = v33;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v9 = tape[1 * numbers + i];
            const auto v11 = v9 - h.c1;
            const auto v20 = d[0][i];
            const auto v22 = v20 * v9;
            const auto v23 = -v22;
            const auto v24 = multiply_add(v20, h.c3, v23);
            const auto v19 = d_spike.at(i);
            const auto v25 = v19 + v24;
            const auto v18 = equal(h.c2, N(R(0.0)));
            const auto v26 = select(v18, v25, v19);
            const auto v33 = tape[2 * numbers + i];
            const auto v34 = v26 * v33;
            const auto v35 = v20 + v34;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v36 = select(v12, v34, v35);
            const auto v37 = v36 * h.k0;
            const auto v38 = -v36;
            const auto v40 = multiply_add(v38, h.k0, v36);
            const auto v3 = tape[0 * numbers + i];
            const auto v42 = v38 * v3;
            const auto v7 = x.at(i);
            const auto v43 = multiply_add(v36, v7, v42);
            write_dx(i, v37);
            d[0][i] = v40;
            d_k[0][i] += v43;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v21 = sigmoid<R>(v11, h.c5);
            const auto v22 = h.c4 * v21;
            const auto v23 = N(R(1.0)) - v21;
            const auto v24 = v22 * v23;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = d_spike.at(i);
            const auto v24 = tape[1 * numbers + i];
            const auto v25 = v17 * v24;
            const auto v26 = v25 * h.k0;
            const auto v27 = -v25;
            const auto v29 = multiply_add(v27, h.k0, v25);
            const auto v3 = tape[0 * numbers + i];
            const auto v31 = v27 * v3;
            const auto v7 = x.at(i);
            const auto v32 = multiply_add(v25, v7, v31);
            write_dx(i, v26);
            d[0][i] = v29;
            d_k[0][i] += v32;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = mul x k0
// %4 = add %2 %3
// %5 = sub %4 c1
// %6 = abs %5
// %7 = mul c5 %6
// %8 = sub #1.0 %7
// %9 = lt %8 #0.0
// %10 = where %9 #0.0 %8
// %11 = mul c4 %10
// %12 = fire %5 %11
// %13 = detachif %12 c2
// %14 = sub #1.0 %13
// %15 = mul %14 %4
// %16 = mul %13 c3
// %17 = add %15 %16
// out %12 %17
struct Backward14 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c5, c2, c4, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v16 = select(v12, h.c3, v9);
            const auto v18 = absolute(v11);
            const auto v19 = h.c5 * v18;
            const auto v20 = N(R(1.0)) - v19;
            s[0][i] = v16;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v9;
            tape[2 * numbers + i] = v20;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v9 = tape[1 * numbers + i];
            const auto v11 = v9 - h.c1;
            const auto v25 = d[0][i];
            const auto v27 = v25 * v9;
            const auto v28 = -v27;
            const auto v29 = multiply_add(v25, h.c3, v28);
            const auto v24 = d_spike.at(i);
            const auto v30 = v24 + v29;
            const auto v23 = equal(h.c2, N(R(0.0)));
            const auto v31 = select(v23, v30, v24);
            const auto v20 = tape[2 * numbers + i];
            const auto v33 = h.c4 * v20;
            const auto v34 = v31 * v33;
            const auto v21 = v20 < N(R(0.0));
            const auto v35 = select(v21, N(R(0.0)), v34);
            const auto v36 = v25 + v35;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v37 = select(v12, v35, v36);
            const auto v38 = v37 * h.k0;
            const auto v39 = -v37;
            const auto v41 = multiply_add(v39, h.k0, v37);
            const auto v3 = tape[0 * numbers + i];
            const auto v43 = v39 * v3;
            const auto v7 = x.at(i);
            const auto v44 = multiply_add(v37, v7, v43);
            write_dx(i, v38);
            d[0][i] = v41;
            d_k[0][i] += v44;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v18 = absolute(v11);
            const auto v19 = h.c5 * v18;
            const auto v20 = N(R(1.0)) - v19;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v20;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v20 = tape[1 * numbers + i];
            const auto v24 = h.c4 * v20;
            const auto v22 = d_spike.at(i);
            const auto v25 = v22 * v24;
            const auto v26 = v25 * h.k0;
            const auto v21 = v20 < N(R(0.0));
            const auto v27 = select(v21, N(R(0.0)), v26);
            const auto v28 = -v25;
            const auto v30 = multiply_add(v28, h.k0, v25);
            const auto v31 = select(v21, N(R(0.0)), v30);
            const auto v3 = tape[0 * numbers + i];
            const auto v33 = v28 * v3;
            const auto v7 = x.at(i);
            const auto v34 = multiply_add(v25, v7, v33);
            const auto v35 = select(v21, N(R(0.0)), v34);
            write_dx(i, v27);
            d[0][i] = v31;
            d_k[0][i] += v35;
        });
    }
};

// states r coefficients l constants 6
// %0 = sub s0 c0
// %1 = mul %0 k0
// %2 = sub s0 %1
// %3 = mul x k0
// %4 = add %2 %3
// %5 = sub %4 c1
// %6 = mul c5 %5
// %7 = mul %6 %6
// %8 = add #1.0 %7
// %9 = div c4 %8
// %10 = fire %5 %9
// %11 = detachif %10 c2
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c3
// %15 = add %13 %14
// out %10 %15
struct Backward15 {
    static constexpr int states = 1;
    static constexpr int coefficients = 1;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false, false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 3;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c3, c4, c5, c2, k0;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c3 = N(constants[3]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c2 = N(constants[2]);
            k0 = N(*coefficients[0]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v16 = select(v12, h.c3, v9);
            const auto v29 = h.c5 * v11;
            const auto v30 = v29 * v29;
            const auto v31 = N(R(1.0)) + v30;
            const auto v32 = h.c4 / v31;
            s[0][i] = v16;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v9;
            tape[2 * numbers + i] = v32;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v9 = tape[1 * numbers + i];
            const auto v11 = v9 - h.c1;
            const auto v20 = d[0][i];
            const auto v22 = v20 * v9;
            const auto v23 = -v22;
            const auto v24 = multiply_add(v20, h.c3, v23);
            const auto v19 = d_spike.at(i);
            const auto v25 = v19 + v24;
            const auto v18 = equal(h.c2, N(R(0.0)));
            const auto v26 = select(v18, v25, v19);
            const auto v32 = tape[2 * numbers + i];
            const auto v33 = v26 * v32;
            const auto v34 = v20 + v33;
            const auto v12 = N(R(0.0)) <= v11;
            const auto v35 = select(v12, v33, v34);
            const auto v36 = v35 * h.k0;
            const auto v37 = -v35;
            const auto v39 = multiply_add(v37, h.k0, v35);
            const auto v3 = tape[0 * numbers + i];
            const auto v41 = v37 * v3;
            const auto v7 = x.at(i);
            const auto v42 = multiply_add(v35, v7, v41);
            write_dx(i, v36);
            d[0][i] = v39;
            d_k[0][i] += v42;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.k0;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v8 = v7 * h.k0;
            const auto v9 = v6 + v8;
            const auto v11 = v9 - h.c1;
            const auto v20 = h.c5 * v11;
            const auto v21 = v20 * v20;
            const auto v22 = N(R(1.0)) + v21;
            const auto v23 = h.c4 / v22;
            tape[0 * numbers + i] = v3;
            tape[1 * numbers + i] = v23;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v17 = d_spike.at(i);
            const auto v23 = tape[1 * numbers + i];
            const auto v24 = v17 * v23;
            const auto v25 = v24 * h.k0;
            const auto v26 = -v24;
            const auto v28 = multiply_add(v26, h.k0, v24);
            const auto v3 = tape[0 * numbers + i];
            const auto v30 = v26 * v3;
            const auto v7 = x.at(i);
            const auto v31 = multiply_add(v24, v7, v30);
            write_dx(i, v25);
            d[0][i] = v28;
            d_k[0][i] += v31;
        });
    }
};

// Sets `unit` to that of the program with the key; returns false if there is none.
template <class S>
bool find(std::uint64_t key, Unit& unit) {
    switch (key) {
        case 0x54d3ff067e0b7a21: unit = unit_of<Forward0, Backward0, S>(); return true;
        case 0x34e57d2d00939fd8: unit = unit_of<Forward0, Backward1, S>(); return true;
        case 0x6db05fc7bc533a2c: unit = unit_of<Forward0, Backward2, S>(); return true;
        case 0xca293bd4d8004ddd: unit = unit_of<Forward0, Backward3, S>(); return true;
        case 0xc45f181077148fef: unit = unit_of<Forward1, Backward4, S>(); return true;
        case 0x33a35ebf97f23ffa: unit = unit_of<Forward1, Backward5, S>(); return true;
        case 0xb471c27f05050047: unit = unit_of<Forward1, Backward6, S>(); return true;
        case 0x86221cc47c70871d: unit = unit_of<Forward1, Backward7, S>(); return true;
        case 0xa0c0700bd2494077: unit = unit_of<Forward2, Backward8, S>(); return true;
        case 0x21e3138d69cd9c34: unit = unit_of<Forward2, Backward9, S>(); return true;
        case 0x59d9c74036559105: unit = unit_of<Forward2, Backward10, S>(); return true;
        case 0xfb7ea7d030310919: unit = unit_of<Forward2, Backward11, S>(); return true;
        case 0xc5fc28b7be3f67fd: unit = unit_of<Forward3, Backward12, S>(); return true;
        case 0xe5019b421aeabbce: unit = unit_of<Forward3, Backward13, S>(); return true;
        case 0x46400744b8f486f8: unit = unit_of<Forward3, Backward14, S>(); return true;
        case 0x2eb21bddf8f36f6a: unit = unit_of<Forward3, Backward15, S>(); return true;
        default: return false;
    }
}

}  // namespace
}  // namespace clif::CLIF_ISA
