// Written by `python -m clif.generate.shipped`.
#pragma once

namespace clif::CLIF_ISA {
namespace {

// states z coefficients - constants 5
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = fire %3 #0.0
// %5 = detachif %4 c3
// %6 = mul %5 c4
// %7 = sub %2 %6
// out %4 %7
struct Forward0 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v14 = v7 - h.c4;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v15 = select(v10, v14, v7);
            s[0][i] = v15;
            fire(i, v10);
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(FromRest, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.c1;
            const auto v5 = v3 - h.c2;
            const auto v10 = v3 - h.c4;
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
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            fire(i, v10);
        });
    }
};

// states z coefficients - constants 7
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = abs %3
// %5 = le %4 c5
// %6 = where %5 #1.0 #0.0
// %7 = div %6 c6
// %8 = fire %3 %7
// %9 = detachif %8 c3
// %10 = mul %9 c4
// %11 = sub %2 %10
// out %8 %11
struct Backward0 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 1;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c5, c3, c6, u7;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c3 = N(constants[3]);
            c6 = N(constants[6]);
            u7 = N(R(1.0)) / c6;
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v14 = v7 - h.c4;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v15 = select(v10, v14, v7);
            const auto v16 = absolute(v9);
            s[0][i] = v15;
            tape[0 * numbers + i] = v16;
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
            const auto v25 = multiply_add(v23, h.c4, v22);
            const auto v21 = equal(h.c3, N(R(0.0)));
            const auto v26 = select(v21, v25, v22);
            const auto v30 = multiply_add(v26, h.u7, v19);
            const auto v16 = tape[0 * numbers + i];
            const auto v18 = v16 <= h.c5;
            const auto v31 = select(v18, v30, v19);
            const auto v32 = v31 * h.c1;
            const auto v33 = v31 * h.c0;
            write_dx(i, v32);
            d[0][i] = v33;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.c1;
            const auto v5 = v3 - h.c2;
            const auto v10 = v3 - h.c4;
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
            const auto v21 = multiply_add(v19, h.c4, v18);
            const auto v17 = equal(h.c3, N(R(0.0)));
            const auto v22 = select(v17, v21, v18);
            const auto v26 = multiply_add(v22, h.u7, v15);
            const auto v12 = tape[0 * numbers + i];
            const auto v14 = v12 <= h.c5;
            const auto v27 = select(v14, v26, v15);
            const auto v28 = v27 * h.c1;
            write_dx(i, v28);
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v16 = absolute(v9);
            tape[0 * numbers + i] = v16;
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
            const auto v22 = v19 * h.u7;
            const auto v23 = v22 * h.c1;
            const auto v16 = tape[0 * numbers + i];
            const auto v18 = v16 <= h.c5;
            const auto v24 = select(v18, v23, N(R(0.0)));
            const auto v25 = v22 * h.c0;
            const auto v26 = select(v18, v25, N(R(0.0)));
            write_dx(i, v24);
            d[0][i] = v26;
        });
    }
};

// states z coefficients - constants 7
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = mul c6 %3
// %5 = sigmoid %4
// %6 = mul c5 %5
// %7 = sub #1.0 %5
// %8 = mul %6 %7
// %9 = fire %3 %8
// %10 = detachif %9 c3
// %11 = mul %10 c4
// %12 = sub %2 %11
// out %9 %12
struct Backward1 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 1;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c5, c6, c3;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c6 = N(constants[6]);
            c3 = N(constants[3]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v14 = v7 - h.c4;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v15 = select(v10, v14, v7);
            const auto v27 = sigmoid<R>(v9, h.c6);
            const auto v28 = h.c5 * v27;
            const auto v29 = N(R(1.0)) - v27;
            const auto v30 = v28 * v29;
            s[0][i] = v15;
            tape[0 * numbers + i] = v30;
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
            const auto v22 = multiply_add(v20, h.c4, v19);
            const auto v18 = equal(h.c3, N(R(0.0)));
            const auto v23 = select(v18, v22, v19);
            const auto v30 = tape[0 * numbers + i];
            const auto v32 = multiply_add(v23, v30, v16);
            const auto v33 = v32 * h.c1;
            const auto v34 = v32 * h.c0;
            write_dx(i, v33);
            d[0][i] = v34;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.c1;
            const auto v5 = v3 - h.c2;
            const auto v10 = v3 - h.c4;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v23 = sigmoid<R>(v5, h.c6);
            const auto v24 = h.c5 * v23;
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
            const auto v18 = multiply_add(v16, h.c4, v15);
            const auto v14 = equal(h.c3, N(R(0.0)));
            const auto v19 = select(v14, v18, v15);
            const auto v26 = tape[0 * numbers + i];
            const auto v28 = multiply_add(v19, v26, v12);
            const auto v29 = v28 * h.c1;
            write_dx(i, v29);
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v9, h.c6);
            const auto v21 = h.c5 * v20;
            const auto v22 = N(R(1.0)) - v20;
            const auto v23 = v21 * v22;
            tape[0 * numbers + i] = v23;
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
            const auto v23 = tape[0 * numbers + i];
            const auto v24 = v16 * v23;
            const auto v25 = v24 * h.c1;
            const auto v26 = v24 * h.c0;
            write_dx(i, v25);
            d[0][i] = v26;
        });
    }
};

// states z coefficients - constants 7
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = abs %3
// %5 = mul c6 %4
// %6 = sub #1.0 %5
// %7 = lt %6 #0.0
// %8 = where %7 #0.0 %6
// %9 = mul c5 %8
// %10 = fire %3 %9
// %11 = detachif %10 c3
// %12 = mul %11 c4
// %13 = sub %2 %12
// out %10 %13
struct Backward2 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 1;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, c3, c5;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v14 = v7 - h.c4;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v15 = select(v10, v14, v7);
            const auto v17 = absolute(v9);
            const auto v18 = h.c6 * v17;
            const auto v19 = N(R(1.0)) - v18;
            s[0][i] = v15;
            tape[0 * numbers + i] = v19;
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
            const auto v27 = multiply_add(v25, h.c4, v24);
            const auto v23 = equal(h.c3, N(R(0.0)));
            const auto v28 = select(v23, v27, v24);
            const auto v19 = tape[0 * numbers + i];
            const auto v30 = h.c5 * v19;
            const auto v32 = multiply_add(v28, v30, v21);
            const auto v20 = v19 < N(R(0.0));
            const auto v33 = select(v20, v21, v32);
            const auto v34 = v33 * h.c1;
            const auto v35 = v33 * h.c0;
            write_dx(i, v34);
            d[0][i] = v35;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.c1;
            const auto v5 = v3 - h.c2;
            const auto v10 = v3 - h.c4;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v13 = absolute(v5);
            const auto v14 = h.c6 * v13;
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
            const auto v23 = multiply_add(v21, h.c4, v20);
            const auto v19 = equal(h.c3, N(R(0.0)));
            const auto v24 = select(v19, v23, v20);
            const auto v15 = tape[0 * numbers + i];
            const auto v26 = h.c5 * v15;
            const auto v28 = multiply_add(v24, v26, v17);
            const auto v16 = v15 < N(R(0.0));
            const auto v29 = select(v16, v17, v28);
            const auto v30 = v29 * h.c1;
            write_dx(i, v30);
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v17 = absolute(v9);
            const auto v18 = h.c6 * v17;
            const auto v19 = N(R(1.0)) - v18;
            tape[0 * numbers + i] = v19;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = tape[0 * numbers + i];
            const auto v23 = h.c5 * v19;
            const auto v21 = d_spike.at(i);
            const auto v24 = v21 * v23;
            const auto v25 = v24 * h.c1;
            const auto v20 = v19 < N(R(0.0));
            const auto v26 = select(v20, N(R(0.0)), v25);
            const auto v27 = v24 * h.c0;
            const auto v28 = select(v20, N(R(0.0)), v27);
            write_dx(i, v26);
            d[0][i] = v28;
        });
    }
};

// states z coefficients - constants 7
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = mul c6 %3
// %5 = mul %4 %4
// %6 = add #1.0 %5
// %7 = div c5 %6
// %8 = fire %3 %7
// %9 = detachif %8 c3
// %10 = mul %9 c4
// %11 = sub %2 %10
// out %8 %11
struct Backward3 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 1;
    static constexpr bool rests_at_zero[] = {true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c5, c6, c3;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c5 = N(constants[5]);
            c6 = N(constants[6]);
            c3 = N(constants[3]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v14 = v7 - h.c4;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v15 = select(v10, v14, v7);
            const auto v26 = h.c6 * v9;
            const auto v27 = v26 * v26;
            const auto v28 = N(R(1.0)) + v27;
            const auto v29 = h.c5 / v28;
            s[0][i] = v15;
            tape[0 * numbers + i] = v29;
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
            const auto v22 = multiply_add(v20, h.c4, v19);
            const auto v18 = equal(h.c3, N(R(0.0)));
            const auto v23 = select(v18, v22, v19);
            const auto v29 = tape[0 * numbers + i];
            const auto v31 = multiply_add(v23, v29, v16);
            const auto v32 = v31 * h.c1;
            const auto v33 = v31 * h.c0;
            write_dx(i, v32);
            d[0][i] = v33;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = x.at(i);
            const auto v3 = v1 * h.c1;
            const auto v5 = v3 - h.c2;
            const auto v10 = v3 - h.c4;
            const auto v6 = N(R(0.0)) <= v5;
            const auto v11 = select(v6, v10, v3);
            const auto v22 = h.c6 * v5;
            const auto v23 = v22 * v22;
            const auto v24 = N(R(1.0)) + v23;
            const auto v25 = h.c5 / v24;
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
            const auto v18 = multiply_add(v16, h.c4, v15);
            const auto v14 = equal(h.c3, N(R(0.0)));
            const auto v19 = select(v14, v18, v15);
            const auto v25 = tape[0 * numbers + i];
            const auto v27 = multiply_add(v19, v25, v12);
            const auto v28 = v27 * h.c1;
            write_dx(i, v28);
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Last, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            const auto v9 = v7 - h.c2;
            const auto v19 = h.c6 * v9;
            const auto v20 = v19 * v19;
            const auto v21 = N(R(1.0)) + v20;
            const auto v22 = h.c5 / v21;
            tape[0 * numbers + i] = v22;
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
            const auto v22 = tape[0 * numbers + i];
            const auto v23 = v16 * v22;
            const auto v24 = v23 * h.c1;
            const auto v25 = v23 * h.c0;
            write_dx(i, v24);
            d[0][i] = v25;
        });
    }
};

// states r coefficients - constants 6
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = fire %5 #0.0
// %7 = detachif %6 c4
// %8 = sub #1.0 %7
// %9 = mul %8 %4
// %10 = mul %7 c5
// %11 = add %9 %10
// out %6 %11
struct Forward1 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v17 = select(v13, h.c5, v10);
            s[0][i] = v17;
            fire(i, v13);
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            fire(i, v13);
        });
    }
};

// states r coefficients - constants 8
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = abs %5
// %7 = le %6 c6
// %8 = where %7 #1.0 #0.0
// %9 = div %8 c7
// %10 = fire %5 %9
// %11 = detachif %10 c4
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c5
// %15 = add %13 %14
// out %10 %15
struct Backward4 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 1;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c6, c4, c7, u8;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c6 = N(constants[6]);
            c4 = N(constants[4]);
            c7 = N(constants[7]);
            u8 = N(R(1.0)) / c7;
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v17 = select(v13, h.c5, v10);
            s[0][i] = v17;
            tape[0 * numbers + i] = v10;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v18 = absolute(v12);
            const auto v24 = d[0][i];
            const auto v26 = v24 * v10;
            const auto v27 = -v26;
            const auto v28 = multiply_add(v24, h.c5, v27);
            const auto v23 = d_spike.at(i);
            const auto v29 = v23 + v28;
            const auto v22 = equal(h.c4, N(R(0.0)));
            const auto v30 = select(v22, v29, v23);
            const auto v33 = v30 * h.u8;
            const auto v20 = v18 <= h.c6;
            const auto v34 = select(v20, v33, N(R(0.0)));
            const auto v35 = v24 + v34;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v36 = select(v13, v34, v35);
            const auto v37 = v36 * h.c2;
            const auto v38 = -v36;
            const auto v40 = multiply_add(v38, h.c1, v36);
            write_dx(i, v37);
            d[0][i] = v40;
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v18 = absolute(v12);
            tape[0 * numbers + i] = v18;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v21 = d_spike.at(i);
            const auto v24 = v21 * h.u8;
            const auto v25 = v24 * h.c2;
            const auto v18 = tape[0 * numbers + i];
            const auto v20 = v18 <= h.c6;
            const auto v26 = select(v20, v25, N(R(0.0)));
            const auto v27 = -v24;
            const auto v29 = multiply_add(v27, h.c1, v24);
            const auto v30 = select(v20, v29, N(R(0.0)));
            write_dx(i, v26);
            d[0][i] = v30;
        });
    }
};

// states r coefficients - constants 8
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = mul c7 %5
// %7 = sigmoid %6
// %8 = mul c6 %7
// %9 = sub #1.0 %7
// %10 = mul %8 %9
// %11 = fire %5 %10
// %12 = detachif %11 c4
// %13 = sub #1.0 %12
// %14 = mul %13 %4
// %15 = mul %12 c5
// %16 = add %14 %15
// out %11 %16
struct Backward5 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c6, c7, c4;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c6 = N(constants[6]);
            c7 = N(constants[7]);
            c4 = N(constants[4]);
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v17 = select(v13, h.c5, v10);
            const auto v31 = sigmoid<R>(v12, h.c7);
            const auto v32 = h.c6 * v31;
            const auto v33 = N(R(1.0)) - v31;
            const auto v34 = v32 * v33;
            s[0][i] = v17;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v34;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v21 = d[0][i];
            const auto v23 = v21 * v10;
            const auto v24 = -v23;
            const auto v25 = multiply_add(v21, h.c5, v24);
            const auto v20 = d_spike.at(i);
            const auto v26 = v20 + v25;
            const auto v19 = equal(h.c4, N(R(0.0)));
            const auto v27 = select(v19, v26, v20);
            const auto v34 = tape[1 * numbers + i];
            const auto v35 = v27 * v34;
            const auto v36 = v21 + v35;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v37 = select(v13, v35, v36);
            const auto v38 = v37 * h.c2;
            const auto v39 = -v37;
            const auto v41 = multiply_add(v39, h.c1, v37);
            write_dx(i, v38);
            d[0][i] = v41;
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v12, h.c7);
            const auto v23 = h.c6 * v22;
            const auto v24 = N(R(1.0)) - v22;
            const auto v25 = v23 * v24;
            tape[0 * numbers + i] = v25;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v18 = d_spike.at(i);
            const auto v25 = tape[0 * numbers + i];
            const auto v26 = v18 * v25;
            const auto v27 = v26 * h.c2;
            const auto v28 = -v26;
            const auto v30 = multiply_add(v28, h.c1, v26);
            write_dx(i, v27);
            d[0][i] = v30;
        });
    }
};

// states r coefficients - constants 8
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = abs %5
// %7 = mul c7 %6
// %8 = sub #1.0 %7
// %9 = lt %8 #0.0
// %10 = where %9 #0.0 %8
// %11 = mul c6 %10
// %12 = fire %5 %11
// %13 = detachif %12 c4
// %14 = sub #1.0 %13
// %15 = mul %14 %4
// %16 = mul %13 c5
// %17 = add %15 %16
// out %12 %17
struct Backward6 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, c4, c6;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v17 = select(v13, h.c5, v10);
            const auto v19 = absolute(v12);
            const auto v20 = h.c7 * v19;
            const auto v21 = N(R(1.0)) - v20;
            s[0][i] = v17;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v21;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v26 = d[0][i];
            const auto v28 = v26 * v10;
            const auto v29 = -v28;
            const auto v30 = multiply_add(v26, h.c5, v29);
            const auto v25 = d_spike.at(i);
            const auto v31 = v25 + v30;
            const auto v24 = equal(h.c4, N(R(0.0)));
            const auto v32 = select(v24, v31, v25);
            const auto v21 = tape[1 * numbers + i];
            const auto v34 = h.c6 * v21;
            const auto v35 = v32 * v34;
            const auto v22 = v21 < N(R(0.0));
            const auto v36 = select(v22, N(R(0.0)), v35);
            const auto v37 = v26 + v36;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v38 = select(v13, v36, v37);
            const auto v39 = v38 * h.c2;
            const auto v40 = -v38;
            const auto v42 = multiply_add(v40, h.c1, v38);
            write_dx(i, v39);
            d[0][i] = v42;
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v19 = absolute(v12);
            const auto v20 = h.c7 * v19;
            const auto v21 = N(R(1.0)) - v20;
            tape[0 * numbers + i] = v21;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v21 = tape[0 * numbers + i];
            const auto v25 = h.c6 * v21;
            const auto v23 = d_spike.at(i);
            const auto v26 = v23 * v25;
            const auto v27 = v26 * h.c2;
            const auto v22 = v21 < N(R(0.0));
            const auto v28 = select(v22, N(R(0.0)), v27);
            const auto v29 = -v26;
            const auto v31 = multiply_add(v29, h.c1, v26);
            const auto v32 = select(v22, N(R(0.0)), v31);
            write_dx(i, v28);
            d[0][i] = v32;
        });
    }
};

// states r coefficients - constants 8
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = mul c7 %5
// %7 = mul %6 %6
// %8 = add #1.0 %7
// %9 = div c6 %8
// %10 = fire %5 %9
// %11 = detachif %10 c4
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c5
// %15 = add %13 %14
// out %10 %15
struct Backward7 {
    static constexpr int states = 1;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = false;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 2;
    static constexpr bool rests_at_zero[] = {false};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c6, c7, c4;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c6 = N(constants[6]);
            c7 = N(constants[7]);
            c4 = N(constants[4]);
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v17 = select(v13, h.c5, v10);
            const auto v30 = h.c7 * v12;
            const auto v31 = v30 * v30;
            const auto v32 = N(R(1.0)) + v31;
            const auto v33 = h.c6 / v32;
            s[0][i] = v17;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v33;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v21 = d[0][i];
            const auto v23 = v21 * v10;
            const auto v24 = -v23;
            const auto v25 = multiply_add(v21, h.c5, v24);
            const auto v20 = d_spike.at(i);
            const auto v26 = v20 + v25;
            const auto v19 = equal(h.c4, N(R(0.0)));
            const auto v27 = select(v19, v26, v20);
            const auto v33 = tape[1 * numbers + i];
            const auto v34 = v27 * v33;
            const auto v35 = v21 + v34;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v36 = select(v13, v34, v35);
            const auto v37 = v36 * h.c2;
            const auto v38 = -v36;
            const auto v40 = multiply_add(v38, h.c1, v36);
            write_dx(i, v37);
            d[0][i] = v40;
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
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            const auto v12 = v10 - h.c3;
            const auto v21 = h.c7 * v12;
            const auto v22 = v21 * v21;
            const auto v23 = N(R(1.0)) + v22;
            const auto v24 = h.c6 / v23;
            tape[0 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v18 = d_spike.at(i);
            const auto v24 = tape[0 * numbers + i];
            const auto v25 = v18 * v24;
            const auto v26 = v25 * h.c2;
            const auto v27 = -v25;
            const auto v29 = multiply_add(v27, h.c1, v25);
            write_dx(i, v26);
            d[0][i] = v29;
        });
    }
};

// Sets `unit` to that of the program with the key; returns false if there is none.
template <class S>
bool find(std::uint64_t key, Unit& unit) {
    switch (key) {
        case 0x57b016653b0a53d8: unit = unit_of<Forward0, Backward0, S>(); return true;
        case 0xd8518fd9d136945b: unit = unit_of<Forward0, Backward1, S>(); return true;
        case 0x7e6fa09446194423: unit = unit_of<Forward0, Backward2, S>(); return true;
        case 0xe63da4fc26ba7af7: unit = unit_of<Forward0, Backward3, S>(); return true;
        case 0xf78fe87f71f0154a: unit = unit_of<Forward1, Backward4, S>(); return true;
        case 0xcbbfebaeaf030510: unit = unit_of<Forward1, Backward5, S>(); return true;
        case 0xabc396ccb2ad0799: unit = unit_of<Forward1, Backward6, S>(); return true;
        case 0x9d5bb4be9e797685: unit = unit_of<Forward1, Backward7, S>(); return true;
        default: return false;
    }
}

}  // namespace
}  // namespace clif::CLIF_ISA
