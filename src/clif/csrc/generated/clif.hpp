// Written by `python -m clif.generate.shipped`.
#pragma once

namespace clif::CLIF_ISA {
namespace {

// states zz coefficients - constants 7
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = fire %3 #0.0
// %5 = detachif %4 c3
// %6 = mul %5 c4
// %7 = sub %2 %6
// %8 = detachif %4 c5
// %9 = div %2 c6
// %10 = sigmoid %9
// %11 = mul s1 %10
// %12 = add %11 %4
// %13 = sigmoid %12
// %14 = mul %8 %13
// %15 = sub %7 %14
// out %4 %15 %12
struct Forward0 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, u5;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u5 = N(R(1.0)) / c6;
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n7[numbers];
        Number<R> n23[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            n7[i] = v7;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v7, h.u5);
            const auto v15 = s[1][i];
            const auto v21 = v15 * v20;
            const auto v22 = v21 + N(R(1.0));
            const auto v10 = N(R(0.0)) <= v9;
            const auto v23 = select(v10, v22, v21);
            n23[i] = v23;
            s[1][i] = v23;
            fire(i, v10);
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v24 = sigmoid<R>(n23[i], N(R(1)));
            const auto v14 = n7[i] - h.c4;
            const auto v25 = v14 - v24;
            const auto v9 = n7[i] - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v26 = select(v10, v25, n7[i]);
            s[0][i] = v26;
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
            const auto v12 = v10 - N(R(0.7310585786300049));
            const auto v6 = N(R(0.0)) <= v5;
            const auto v13 = select(v6, v12, v3);
            const auto v8 = select(v6, N(R(1.0)), N(R(0.0)));
            s[0][i] = v13;
            s[1][i] = v8;
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

// states zz coefficients - constants 9
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = abs %3
// %5 = le %4 c7
// %6 = where %5 #1.0 #0.0
// %7 = div %6 c8
// %8 = fire %3 %7
// %9 = detachif %8 c3
// %10 = mul %9 c4
// %11 = sub %2 %10
// %12 = detachif %8 c5
// %13 = div %2 c6
// %14 = sigmoid %13
// %15 = mul s1 %14
// %16 = add %15 %8
// %17 = sigmoid %16
// %18 = mul %12 %17
// %19 = sub %11 %18
// out %8 %19 %16
struct Backward0 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 4;
    static constexpr bool rests_at_zero[] = {true, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, u5, c7, c3, c5, c8, u10;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u5 = N(R(1.0)) / c6;
            c7 = N(constants[7]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c8 = N(constants[8]);
            u10 = N(R(1.0)) / c8;
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n7[numbers];
        Number<R> n23[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            n7[i] = v7;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v7, h.u5);
            const auto v15 = s[1][i];
            const auto v21 = v15 * v20;
            const auto v22 = v21 + N(R(1.0));
            const auto v10 = N(R(0.0)) <= v9;
            const auto v23 = select(v10, v22, v21);
            n23[i] = v23;
            s[1][i] = v23;
            tape[0 * numbers + i] = v9;
            tape[1 * numbers + i] = v15;
            tape[2 * numbers + i] = v20;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v24 = sigmoid<R>(n23[i], N(R(1)));
            const auto v14 = n7[i] - h.c4;
            const auto v25 = v14 - v24;
            const auto v9 = n7[i] - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v26 = select(v10, v25, n7[i]);
            s[0][i] = v26;
            tape[3 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v9 = tape[0 * numbers + i];
            const auto v27 = absolute(v9);
            const auto v31 = d[0][i];
            const auto v32 = -v31;
            const auto v24 = tape[3 * numbers + i];
            const auto v33 = N(R(1.0)) - v24;
            const auto v34 = v32 * v33;
            const auto v30 = d[1][i];
            const auto v36 = multiply_add(v34, v24, v30);
            const auto v10 = N(R(0.0)) <= v9;
            const auto v37 = select(v10, v36, v30);
            const auto v15 = tape[1 * numbers + i];
            const auto v38 = v37 * v15;
            const auto v20 = tape[2 * numbers + i];
            const auto v39 = N(R(1.0)) - v20;
            const auto v40 = v38 * v39;
            const auto v41 = v40 * v20;
            const auto v44 = multiply_add(v41, h.u5, v31);
            const auto v49 = d_spike.at(i);
            const auto v50 = v49 + v37;
            const auto v52 = multiply_add(v32, v24, v50);
            const auto v48 = equal(h.c5, N(R(0.0)));
            const auto v53 = select(v48, v52, v50);
            const auto v55 = multiply_add(v32, h.c4, v53);
            const auto v46 = equal(h.c3, N(R(0.0)));
            const auto v56 = select(v46, v55, v53);
            const auto v60 = multiply_add(v56, h.u10, v44);
            const auto v29 = v27 <= h.c7;
            const auto v61 = select(v29, v60, v44);
            const auto v62 = v61 * h.c1;
            const auto v63 = v61 * h.c0;
            const auto v64 = v37 * v20;
            write_dx(i, v62);
            d[0][i] = v63;
            d[1][i] = v64;
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
            const auto v12 = v10 - N(R(0.7310585786300049));
            const auto v6 = N(R(0.0)) <= v5;
            const auto v13 = select(v6, v12, v3);
            const auto v8 = select(v6, N(R(1.0)), N(R(0.0)));
            s[0][i] = v13;
            s[1][i] = v8;
            tape[0 * numbers + i] = v5;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v5 = tape[0 * numbers + i];
            const auto v14 = absolute(v5);
            const auto v17 = d[0][i];
            const auto v24 = -v17;
            const auto v26 = v24 * N(R(0.2689414213699951));
            const auto v23 = d[1][i];
            const auto v28 = multiply_add(v26, N(R(0.7310585786300049)), v23);
            const auto v6 = N(R(0.0)) <= v5;
            const auto v29 = select(v6, v28, v23);
            const auto v22 = d_spike.at(i);
            const auto v30 = v22 + v29;
            const auto v32 = select(v6, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v34 = multiply_add(v24, v32, v30);
            const auto v21 = equal(h.c5, N(R(0.0)));
            const auto v35 = select(v21, v34, v30);
            const auto v37 = multiply_add(v24, h.c4, v35);
            const auto v19 = equal(h.c3, N(R(0.0)));
            const auto v38 = select(v19, v37, v35);
            const auto v42 = multiply_add(v38, h.u10, v17);
            const auto v16 = v14 <= h.c7;
            const auto v43 = select(v16, v42, v17);
            const auto v44 = v43 * h.c1;
            write_dx(i, v44);
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
            const auto v27 = absolute(v9);
            tape[0 * numbers + i] = v27;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v30 = d_spike.at(i);
            const auto v33 = v30 * h.u10;
            const auto v34 = v33 * h.c1;
            const auto v27 = tape[0 * numbers + i];
            const auto v29 = v27 <= h.c7;
            const auto v35 = select(v29, v34, N(R(0.0)));
            const auto v36 = v33 * h.c0;
            const auto v37 = select(v29, v36, N(R(0.0)));
            write_dx(i, v35);
            d[0][i] = v37;
            d[1][i] = N(R(0.0));
        });
    }
};

// states zz coefficients - constants 9
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = mul c8 %3
// %5 = sigmoid %4
// %6 = mul c7 %5
// %7 = sub #1.0 %5
// %8 = mul %6 %7
// %9 = fire %3 %8
// %10 = detachif %9 c3
// %11 = mul %10 c4
// %12 = sub %2 %11
// %13 = detachif %9 c5
// %14 = div %2 c6
// %15 = sigmoid %14
// %16 = mul s1 %15
// %17 = add %16 %9
// %18 = sigmoid %17
// %19 = mul %13 %18
// %20 = sub %12 %19
// out %9 %20 %17
struct Backward1 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {true, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, u5, c7, c8, c3, c5;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u5 = N(R(1.0)) / c6;
            c7 = N(constants[7]);
            c8 = N(constants[8]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n7[numbers];
        Number<R> n23[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            n7[i] = v7;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v7, h.u5);
            const auto v15 = s[1][i];
            const auto v21 = v15 * v20;
            const auto v22 = v21 + N(R(1.0));
            const auto v10 = N(R(0.0)) <= v9;
            const auto v23 = select(v10, v22, v21);
            n23[i] = v23;
            const auto v57 = sigmoid<R>(v9, h.c8);
            const auto v58 = h.c7 * v57;
            const auto v59 = N(R(1.0)) - v57;
            const auto v60 = v58 * v59;
            s[1][i] = v23;
            tape[0 * numbers + i] = v9;
            tape[1 * numbers + i] = v15;
            tape[2 * numbers + i] = v20;
            tape[4 * numbers + i] = v60;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v24 = sigmoid<R>(n23[i], N(R(1)));
            const auto v14 = n7[i] - h.c4;
            const auto v25 = v14 - v24;
            const auto v9 = n7[i] - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v26 = select(v10, v25, n7[i]);
            s[0][i] = v26;
            tape[3 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v28 = d[0][i];
            const auto v29 = -v28;
            const auto v24 = tape[3 * numbers + i];
            const auto v30 = N(R(1.0)) - v24;
            const auto v31 = v29 * v30;
            const auto v27 = d[1][i];
            const auto v33 = multiply_add(v31, v24, v27);
            const auto v9 = tape[0 * numbers + i];
            const auto v10 = N(R(0.0)) <= v9;
            const auto v34 = select(v10, v33, v27);
            const auto v15 = tape[1 * numbers + i];
            const auto v35 = v34 * v15;
            const auto v20 = tape[2 * numbers + i];
            const auto v36 = N(R(1.0)) - v20;
            const auto v37 = v35 * v36;
            const auto v38 = v37 * v20;
            const auto v41 = multiply_add(v38, h.u5, v28);
            const auto v46 = d_spike.at(i);
            const auto v47 = v46 + v34;
            const auto v49 = multiply_add(v29, v24, v47);
            const auto v45 = equal(h.c5, N(R(0.0)));
            const auto v50 = select(v45, v49, v47);
            const auto v52 = multiply_add(v29, h.c4, v50);
            const auto v43 = equal(h.c3, N(R(0.0)));
            const auto v53 = select(v43, v52, v50);
            const auto v60 = tape[4 * numbers + i];
            const auto v62 = multiply_add(v53, v60, v41);
            const auto v63 = v62 * h.c1;
            const auto v64 = v62 * h.c0;
            const auto v65 = v34 * v20;
            write_dx(i, v63);
            d[0][i] = v64;
            d[1][i] = v65;
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
            const auto v12 = v10 - N(R(0.7310585786300049));
            const auto v6 = N(R(0.0)) <= v5;
            const auto v13 = select(v6, v12, v3);
            const auto v8 = select(v6, N(R(1.0)), N(R(0.0)));
            const auto v39 = sigmoid<R>(v5, h.c8);
            const auto v40 = h.c7 * v39;
            const auto v41 = N(R(1.0)) - v39;
            const auto v42 = v40 * v41;
            s[0][i] = v13;
            s[1][i] = v8;
            tape[0 * numbers + i] = v5;
            tape[1 * numbers + i] = v42;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d[0][i];
            const auto v21 = -v14;
            const auto v23 = v21 * N(R(0.2689414213699951));
            const auto v20 = d[1][i];
            const auto v25 = multiply_add(v23, N(R(0.7310585786300049)), v20);
            const auto v5 = tape[0 * numbers + i];
            const auto v6 = N(R(0.0)) <= v5;
            const auto v26 = select(v6, v25, v20);
            const auto v19 = d_spike.at(i);
            const auto v27 = v19 + v26;
            const auto v29 = select(v6, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v31 = multiply_add(v21, v29, v27);
            const auto v18 = equal(h.c5, N(R(0.0)));
            const auto v32 = select(v18, v31, v27);
            const auto v34 = multiply_add(v21, h.c4, v32);
            const auto v16 = equal(h.c3, N(R(0.0)));
            const auto v35 = select(v16, v34, v32);
            const auto v42 = tape[1 * numbers + i];
            const auto v44 = multiply_add(v35, v42, v14);
            const auto v45 = v44 * h.c1;
            write_dx(i, v45);
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
            const auto v31 = sigmoid<R>(v9, h.c8);
            const auto v32 = h.c7 * v31;
            const auto v33 = N(R(1.0)) - v31;
            const auto v34 = v32 * v33;
            tape[0 * numbers + i] = v34;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v27 = d_spike.at(i);
            const auto v34 = tape[0 * numbers + i];
            const auto v35 = v27 * v34;
            const auto v36 = v35 * h.c1;
            const auto v37 = v35 * h.c0;
            write_dx(i, v36);
            d[0][i] = v37;
            d[1][i] = N(R(0.0));
        });
    }
};

// states zz coefficients - constants 9
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = abs %3
// %5 = mul c8 %4
// %6 = sub #1.0 %5
// %7 = lt %6 #0.0
// %8 = where %7 #0.0 %6
// %9 = mul c7 %8
// %10 = fire %3 %9
// %11 = detachif %10 c3
// %12 = mul %11 c4
// %13 = sub %2 %12
// %14 = detachif %10 c5
// %15 = div %2 c6
// %16 = sigmoid %15
// %17 = mul s1 %16
// %18 = add %17 %10
// %19 = sigmoid %18
// %20 = mul %14 %19
// %21 = sub %13 %20
// out %10 %21 %18
struct Backward2 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {true, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, u5, c8, c3, c5, c7;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u5 = N(R(1.0)) / c6;
            c8 = N(constants[8]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n7[numbers];
        Number<R> n23[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            n7[i] = v7;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v7, h.u5);
            const auto v15 = s[1][i];
            const auto v21 = v15 * v20;
            const auto v22 = v21 + N(R(1.0));
            const auto v10 = N(R(0.0)) <= v9;
            const auto v23 = select(v10, v22, v21);
            n23[i] = v23;
            const auto v28 = absolute(v9);
            const auto v29 = h.c8 * v28;
            const auto v30 = N(R(1.0)) - v29;
            s[1][i] = v23;
            tape[0 * numbers + i] = v9;
            tape[1 * numbers + i] = v15;
            tape[2 * numbers + i] = v20;
            tape[4 * numbers + i] = v30;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v24 = sigmoid<R>(n23[i], N(R(1)));
            const auto v14 = n7[i] - h.c4;
            const auto v25 = v14 - v24;
            const auto v9 = n7[i] - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v26 = select(v10, v25, n7[i]);
            s[0][i] = v26;
            tape[3 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v33 = d[0][i];
            const auto v34 = -v33;
            const auto v24 = tape[3 * numbers + i];
            const auto v35 = N(R(1.0)) - v24;
            const auto v36 = v34 * v35;
            const auto v32 = d[1][i];
            const auto v38 = multiply_add(v36, v24, v32);
            const auto v9 = tape[0 * numbers + i];
            const auto v10 = N(R(0.0)) <= v9;
            const auto v39 = select(v10, v38, v32);
            const auto v15 = tape[1 * numbers + i];
            const auto v40 = v39 * v15;
            const auto v20 = tape[2 * numbers + i];
            const auto v41 = N(R(1.0)) - v20;
            const auto v42 = v40 * v41;
            const auto v43 = v42 * v20;
            const auto v46 = multiply_add(v43, h.u5, v33);
            const auto v51 = d_spike.at(i);
            const auto v52 = v51 + v39;
            const auto v54 = multiply_add(v34, v24, v52);
            const auto v50 = equal(h.c5, N(R(0.0)));
            const auto v55 = select(v50, v54, v52);
            const auto v57 = multiply_add(v34, h.c4, v55);
            const auto v48 = equal(h.c3, N(R(0.0)));
            const auto v58 = select(v48, v57, v55);
            const auto v30 = tape[4 * numbers + i];
            const auto v60 = h.c7 * v30;
            const auto v62 = multiply_add(v58, v60, v46);
            const auto v31 = v30 < N(R(0.0));
            const auto v63 = select(v31, v46, v62);
            const auto v64 = v63 * h.c1;
            const auto v65 = v63 * h.c0;
            const auto v66 = v39 * v20;
            write_dx(i, v64);
            d[0][i] = v65;
            d[1][i] = v66;
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
            const auto v12 = v10 - N(R(0.7310585786300049));
            const auto v6 = N(R(0.0)) <= v5;
            const auto v13 = select(v6, v12, v3);
            const auto v8 = select(v6, N(R(1.0)), N(R(0.0)));
            const auto v15 = absolute(v5);
            const auto v16 = h.c8 * v15;
            const auto v17 = N(R(1.0)) - v16;
            s[0][i] = v13;
            s[1][i] = v8;
            tape[0 * numbers + i] = v5;
            tape[1 * numbers + i] = v17;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v19 = d[0][i];
            const auto v26 = -v19;
            const auto v28 = v26 * N(R(0.2689414213699951));
            const auto v25 = d[1][i];
            const auto v30 = multiply_add(v28, N(R(0.7310585786300049)), v25);
            const auto v5 = tape[0 * numbers + i];
            const auto v6 = N(R(0.0)) <= v5;
            const auto v31 = select(v6, v30, v25);
            const auto v24 = d_spike.at(i);
            const auto v32 = v24 + v31;
            const auto v34 = select(v6, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v36 = multiply_add(v26, v34, v32);
            const auto v23 = equal(h.c5, N(R(0.0)));
            const auto v37 = select(v23, v36, v32);
            const auto v39 = multiply_add(v26, h.c4, v37);
            const auto v21 = equal(h.c3, N(R(0.0)));
            const auto v40 = select(v21, v39, v37);
            const auto v17 = tape[1 * numbers + i];
            const auto v42 = h.c7 * v17;
            const auto v44 = multiply_add(v40, v42, v19);
            const auto v18 = v17 < N(R(0.0));
            const auto v45 = select(v18, v19, v44);
            const auto v46 = v45 * h.c1;
            write_dx(i, v46);
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
            const auto v28 = absolute(v9);
            const auto v29 = h.c8 * v28;
            const auto v30 = N(R(1.0)) - v29;
            tape[0 * numbers + i] = v30;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v30 = tape[0 * numbers + i];
            const auto v34 = h.c7 * v30;
            const auto v32 = d_spike.at(i);
            const auto v35 = v32 * v34;
            const auto v36 = v35 * h.c1;
            const auto v31 = v30 < N(R(0.0));
            const auto v37 = select(v31, N(R(0.0)), v36);
            const auto v38 = v35 * h.c0;
            const auto v39 = select(v31, N(R(0.0)), v38);
            write_dx(i, v37);
            d[0][i] = v39;
            d[1][i] = N(R(0.0));
        });
    }
};

// states zz coefficients - constants 9
// %0 = mul s0 c0
// %1 = mul x c1
// %2 = add %0 %1
// %3 = sub %2 c2
// %4 = mul c8 %3
// %5 = mul %4 %4
// %6 = add #1.0 %5
// %7 = div c7 %6
// %8 = fire %3 %7
// %9 = detachif %8 c3
// %10 = mul %9 c4
// %11 = sub %2 %10
// %12 = detachif %8 c5
// %13 = div %2 c6
// %14 = sigmoid %13
// %15 = mul s1 %14
// %16 = add %15 %8
// %17 = sigmoid %16
// %18 = mul %12 %17
// %19 = sub %11 %18
// out %8 %19 %16
struct Backward3 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {true, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c4, c6, u5, c7, c8, c3, c5;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u5 = N(R(1.0)) / c6;
            c7 = N(constants[7]);
            c8 = N(constants[8]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n7[numbers];
        Number<R> n23[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 * h.c0;
            const auto v4 = x.at(i);
            const auto v6 = v4 * h.c1;
            const auto v7 = v3 + v6;
            n7[i] = v7;
            const auto v9 = v7 - h.c2;
            const auto v20 = sigmoid<R>(v7, h.u5);
            const auto v15 = s[1][i];
            const auto v21 = v15 * v20;
            const auto v22 = v21 + N(R(1.0));
            const auto v10 = N(R(0.0)) <= v9;
            const auto v23 = select(v10, v22, v21);
            n23[i] = v23;
            const auto v56 = h.c8 * v9;
            const auto v57 = v56 * v56;
            const auto v58 = N(R(1.0)) + v57;
            const auto v59 = h.c7 / v58;
            s[1][i] = v23;
            tape[0 * numbers + i] = v9;
            tape[1 * numbers + i] = v15;
            tape[2 * numbers + i] = v20;
            tape[4 * numbers + i] = v59;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v24 = sigmoid<R>(n23[i], N(R(1)));
            const auto v14 = n7[i] - h.c4;
            const auto v25 = v14 - v24;
            const auto v9 = n7[i] - h.c2;
            const auto v10 = N(R(0.0)) <= v9;
            const auto v26 = select(v10, v25, n7[i]);
            s[0][i] = v26;
            tape[3 * numbers + i] = v24;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Any, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v28 = d[0][i];
            const auto v29 = -v28;
            const auto v24 = tape[3 * numbers + i];
            const auto v30 = N(R(1.0)) - v24;
            const auto v31 = v29 * v30;
            const auto v27 = d[1][i];
            const auto v33 = multiply_add(v31, v24, v27);
            const auto v9 = tape[0 * numbers + i];
            const auto v10 = N(R(0.0)) <= v9;
            const auto v34 = select(v10, v33, v27);
            const auto v15 = tape[1 * numbers + i];
            const auto v35 = v34 * v15;
            const auto v20 = tape[2 * numbers + i];
            const auto v36 = N(R(1.0)) - v20;
            const auto v37 = v35 * v36;
            const auto v38 = v37 * v20;
            const auto v41 = multiply_add(v38, h.u5, v28);
            const auto v46 = d_spike.at(i);
            const auto v47 = v46 + v34;
            const auto v49 = multiply_add(v29, v24, v47);
            const auto v45 = equal(h.c5, N(R(0.0)));
            const auto v50 = select(v45, v49, v47);
            const auto v52 = multiply_add(v29, h.c4, v50);
            const auto v43 = equal(h.c3, N(R(0.0)));
            const auto v53 = select(v43, v52, v50);
            const auto v59 = tape[4 * numbers + i];
            const auto v61 = multiply_add(v53, v59, v41);
            const auto v62 = v61 * h.c1;
            const auto v63 = v61 * h.c0;
            const auto v64 = v34 * v20;
            write_dx(i, v62);
            d[0][i] = v63;
            d[1][i] = v64;
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
            const auto v12 = v10 - N(R(0.7310585786300049));
            const auto v6 = N(R(0.0)) <= v5;
            const auto v13 = select(v6, v12, v3);
            const auto v8 = select(v6, N(R(1.0)), N(R(0.0)));
            const auto v38 = h.c8 * v5;
            const auto v39 = v38 * v38;
            const auto v40 = N(R(1.0)) + v39;
            const auto v41 = h.c7 / v40;
            s[0][i] = v13;
            s[1][i] = v8;
            tape[0 * numbers + i] = v5;
            tape[1 * numbers + i] = v41;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v14 = d[0][i];
            const auto v21 = -v14;
            const auto v23 = v21 * N(R(0.2689414213699951));
            const auto v20 = d[1][i];
            const auto v25 = multiply_add(v23, N(R(0.7310585786300049)), v20);
            const auto v5 = tape[0 * numbers + i];
            const auto v6 = N(R(0.0)) <= v5;
            const auto v26 = select(v6, v25, v20);
            const auto v19 = d_spike.at(i);
            const auto v27 = v19 + v26;
            const auto v29 = select(v6, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v31 = multiply_add(v21, v29, v27);
            const auto v18 = equal(h.c5, N(R(0.0)));
            const auto v32 = select(v18, v31, v27);
            const auto v34 = multiply_add(v21, h.c4, v32);
            const auto v16 = equal(h.c3, N(R(0.0)));
            const auto v35 = select(v16, v34, v32);
            const auto v41 = tape[1 * numbers + i];
            const auto v43 = multiply_add(v35, v41, v14);
            const auto v44 = v43 * h.c1;
            write_dx(i, v44);
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
            const auto v30 = h.c8 * v9;
            const auto v31 = v30 * v30;
            const auto v32 = N(R(1.0)) + v31;
            const auto v33 = h.c7 / v32;
            tape[0 * numbers + i] = v33;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v27 = d_spike.at(i);
            const auto v33 = tape[0 * numbers + i];
            const auto v34 = v27 * v33;
            const auto v35 = v34 * h.c1;
            const auto v36 = v34 * h.c0;
            write_dx(i, v35);
            d[0][i] = v36;
            d[1][i] = N(R(0.0));
        });
    }
};

// states rz coefficients - constants 8
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
// %12 = detachif %6 c6
// %13 = div %4 c7
// %14 = sigmoid %13
// %15 = mul s1 %14
// %16 = add %15 %6
// %17 = sigmoid %16
// %18 = mul %12 %17
// %19 = sub %11 %18
// out %6 %19 %16
struct Forward1 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, u6, u7;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            u6 = N(R(1.0)) / c7;
            u7 = c5 - N(R(0.7310585786300049));
        }
    };

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(Any, [[maybe_unused]] const X& x, States<R, numbers>& s,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    const Fire& fire) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n10[numbers];
        Number<R> n25[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            n10[i] = v10;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v10, h.u6);
            const auto v17 = s[1][i];
            const auto v23 = v17 * v22;
            const auto v24 = v23 + N(R(1.0));
            const auto v13 = N(R(0.0)) <= v12;
            const auto v25 = select(v13, v24, v23);
            n25[i] = v25;
            s[1][i] = v25;
            fire(i, v13);
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v26 = sigmoid<R>(n25[i], N(R(1)));
            const auto v27 = h.c5 - v26;
            const auto v12 = n10[i] - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v28 = select(v13, v27, n10[i]);
            s[0][i] = v28;
        });
    }

    template <class R, int numbers, class X, class Fire>
    static CLIF_INLINE void advance(FromRest, [[maybe_unused]] const X& x, States<R, numbers>& s,
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
            const auto v19 = select(v13, h.u7, v10);
            const auto v15 = select(v13, N(R(1.0)), N(R(0.0)));
            s[0][i] = v19;
            s[1][i] = v15;
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

// states rz coefficients - constants 10
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = abs %5
// %7 = le %6 c8
// %8 = where %7 #1.0 #0.0
// %9 = div %8 c9
// %10 = fire %5 %9
// %11 = detachif %10 c4
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c5
// %15 = add %13 %14
// %16 = detachif %10 c6
// %17 = div %4 c7
// %18 = sigmoid %17
// %19 = mul s1 %18
// %20 = add %19 %10
// %21 = sigmoid %20
// %22 = mul %16 %21
// %23 = sub %15 %22
// out %10 %23 %20
struct Backward4 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 4;
    static constexpr bool rests_at_zero[] = {false, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, u6, c8, c4, c6, c9, u11, u12;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            u6 = N(R(1.0)) / c7;
            c8 = N(constants[8]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            c9 = N(constants[9]);
            u11 = N(R(1.0)) / c9;
            u12 = c5 - N(R(0.7310585786300049));
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n10[numbers];
        Number<R> n25[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            n10[i] = v10;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v10, h.u6);
            const auto v17 = s[1][i];
            const auto v23 = v17 * v22;
            const auto v24 = v23 + N(R(1.0));
            const auto v13 = N(R(0.0)) <= v12;
            const auto v25 = select(v13, v24, v23);
            n25[i] = v25;
            s[1][i] = v25;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v17;
            tape[2 * numbers + i] = v22;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v26 = sigmoid<R>(n25[i], N(R(1)));
            const auto v27 = h.c5 - v26;
            const auto v12 = n10[i] - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v28 = select(v13, v27, n10[i]);
            s[0][i] = v28;
            tape[3 * numbers + i] = v26;
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
            const auto v29 = absolute(v12);
            const auto v33 = d[0][i];
            const auto v34 = -v33;
            const auto v26 = tape[3 * numbers + i];
            const auto v35 = N(R(1.0)) - v26;
            const auto v36 = v34 * v35;
            const auto v32 = d[1][i];
            const auto v38 = multiply_add(v36, v26, v32);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v39 = select(v13, v38, v32);
            const auto v17 = tape[1 * numbers + i];
            const auto v40 = v39 * v17;
            const auto v22 = tape[2 * numbers + i];
            const auto v41 = N(R(1.0)) - v22;
            const auto v42 = v40 * v41;
            const auto v43 = v42 * v22;
            const auto v45 = v43 * h.u6;
            const auto v46 = v45 + v33;
            const auto v47 = select(v13, v45, v46);
            const auto v52 = d_spike.at(i);
            const auto v53 = v52 + v39;
            const auto v55 = multiply_add(v34, v26, v53);
            const auto v51 = equal(h.c6, N(R(0.0)));
            const auto v56 = select(v51, v55, v53);
            const auto v58 = v33 * v10;
            const auto v59 = -v58;
            const auto v60 = multiply_add(v33, h.c5, v59);
            const auto v61 = v56 + v60;
            const auto v49 = equal(h.c4, N(R(0.0)));
            const auto v62 = select(v49, v61, v56);
            const auto v66 = multiply_add(v62, h.u11, v47);
            const auto v31 = v29 <= h.c8;
            const auto v67 = select(v31, v66, v47);
            const auto v68 = v67 * h.c2;
            const auto v69 = -v67;
            const auto v71 = multiply_add(v69, h.c1, v67);
            const auto v72 = v39 * v22;
            write_dx(i, v68);
            d[0][i] = v71;
            d[1][i] = v72;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
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
            const auto v19 = select(v13, h.u12, v10);
            const auto v15 = select(v13, N(R(1.0)), N(R(0.0)));
            s[0][i] = v19;
            s[1][i] = v15;
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
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v20 = absolute(v12);
            const auto v29 = d[0][i];
            const auto v30 = -v29;
            const auto v32 = v30 * N(R(0.2689414213699951));
            const auto v28 = d[1][i];
            const auto v34 = multiply_add(v32, N(R(0.7310585786300049)), v28);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v35 = select(v13, v34, v28);
            const auto v27 = d_spike.at(i);
            const auto v36 = v27 + v35;
            const auto v38 = select(v13, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v40 = multiply_add(v30, v38, v36);
            const auto v26 = equal(h.c6, N(R(0.0)));
            const auto v41 = select(v26, v40, v36);
            const auto v43 = v29 * v10;
            const auto v44 = -v43;
            const auto v45 = multiply_add(v29, h.c5, v44);
            const auto v46 = v41 + v45;
            const auto v24 = equal(h.c4, N(R(0.0)));
            const auto v47 = select(v24, v46, v41);
            const auto v50 = v47 * h.u11;
            const auto v22 = v20 <= h.c8;
            const auto v51 = select(v22, v50, N(R(0.0)));
            const auto v52 = v29 + v51;
            const auto v53 = select(v13, v51, v52);
            const auto v54 = v53 * h.c2;
            write_dx(i, v54);
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
            const auto v29 = absolute(v12);
            tape[0 * numbers + i] = v29;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v32 = d_spike.at(i);
            const auto v35 = v32 * h.u11;
            const auto v36 = v35 * h.c2;
            const auto v29 = tape[0 * numbers + i];
            const auto v31 = v29 <= h.c8;
            const auto v37 = select(v31, v36, N(R(0.0)));
            const auto v38 = -v35;
            const auto v40 = multiply_add(v38, h.c1, v35);
            const auto v41 = select(v31, v40, N(R(0.0)));
            write_dx(i, v37);
            d[0][i] = v41;
            d[1][i] = N(R(0.0));
        });
    }
};

// states rz coefficients - constants 10
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = mul c9 %5
// %7 = sigmoid %6
// %8 = mul c8 %7
// %9 = sub #1.0 %7
// %10 = mul %8 %9
// %11 = fire %5 %10
// %12 = detachif %11 c4
// %13 = sub #1.0 %12
// %14 = mul %13 %4
// %15 = mul %12 c5
// %16 = add %14 %15
// %17 = detachif %11 c6
// %18 = div %4 c7
// %19 = sigmoid %18
// %20 = mul s1 %19
// %21 = add %20 %11
// %22 = sigmoid %21
// %23 = mul %17 %22
// %24 = sub %16 %23
// out %11 %24 %21
struct Backward5 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {false, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, u6, c8, c9, c4, c6, u11;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            u6 = N(R(1.0)) / c7;
            c8 = N(constants[8]);
            c9 = N(constants[9]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u11 = c5 - N(R(0.7310585786300049));
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n10[numbers];
        Number<R> n25[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            n10[i] = v10;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v10, h.u6);
            const auto v17 = s[1][i];
            const auto v23 = v17 * v22;
            const auto v24 = v23 + N(R(1.0));
            const auto v13 = N(R(0.0)) <= v12;
            const auto v25 = select(v13, v24, v23);
            n25[i] = v25;
            const auto v63 = sigmoid<R>(v12, h.c9);
            const auto v64 = h.c8 * v63;
            const auto v65 = N(R(1.0)) - v63;
            const auto v66 = v64 * v65;
            s[1][i] = v25;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v17;
            tape[2 * numbers + i] = v22;
            tape[4 * numbers + i] = v66;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v26 = sigmoid<R>(n25[i], N(R(1)));
            const auto v27 = h.c5 - v26;
            const auto v12 = n10[i] - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v28 = select(v13, v27, n10[i]);
            s[0][i] = v28;
            tape[3 * numbers + i] = v26;
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
            const auto v30 = d[0][i];
            const auto v31 = -v30;
            const auto v26 = tape[3 * numbers + i];
            const auto v32 = N(R(1.0)) - v26;
            const auto v33 = v31 * v32;
            const auto v29 = d[1][i];
            const auto v35 = multiply_add(v33, v26, v29);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v36 = select(v13, v35, v29);
            const auto v17 = tape[1 * numbers + i];
            const auto v37 = v36 * v17;
            const auto v22 = tape[2 * numbers + i];
            const auto v38 = N(R(1.0)) - v22;
            const auto v39 = v37 * v38;
            const auto v40 = v39 * v22;
            const auto v42 = v40 * h.u6;
            const auto v43 = v42 + v30;
            const auto v44 = select(v13, v42, v43);
            const auto v49 = d_spike.at(i);
            const auto v50 = v49 + v36;
            const auto v52 = multiply_add(v31, v26, v50);
            const auto v48 = equal(h.c6, N(R(0.0)));
            const auto v53 = select(v48, v52, v50);
            const auto v55 = v30 * v10;
            const auto v56 = -v55;
            const auto v57 = multiply_add(v30, h.c5, v56);
            const auto v58 = v53 + v57;
            const auto v46 = equal(h.c4, N(R(0.0)));
            const auto v59 = select(v46, v58, v53);
            const auto v66 = tape[4 * numbers + i];
            const auto v68 = multiply_add(v59, v66, v44);
            const auto v69 = v68 * h.c2;
            const auto v70 = -v68;
            const auto v72 = multiply_add(v70, h.c1, v68);
            const auto v73 = v36 * v22;
            write_dx(i, v69);
            d[0][i] = v72;
            d[1][i] = v73;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
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
            const auto v19 = select(v13, h.u11, v10);
            const auto v15 = select(v13, N(R(1.0)), N(R(0.0)));
            const auto v48 = sigmoid<R>(v12, h.c9);
            const auto v49 = h.c8 * v48;
            const auto v50 = N(R(1.0)) - v48;
            const auto v51 = v49 * v50;
            s[0][i] = v19;
            s[1][i] = v15;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v51;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v26 = d[0][i];
            const auto v27 = -v26;
            const auto v29 = v27 * N(R(0.2689414213699951));
            const auto v25 = d[1][i];
            const auto v31 = multiply_add(v29, N(R(0.7310585786300049)), v25);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v32 = select(v13, v31, v25);
            const auto v24 = d_spike.at(i);
            const auto v33 = v24 + v32;
            const auto v35 = select(v13, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v37 = multiply_add(v27, v35, v33);
            const auto v23 = equal(h.c6, N(R(0.0)));
            const auto v38 = select(v23, v37, v33);
            const auto v40 = v26 * v10;
            const auto v41 = -v40;
            const auto v42 = multiply_add(v26, h.c5, v41);
            const auto v43 = v38 + v42;
            const auto v21 = equal(h.c4, N(R(0.0)));
            const auto v44 = select(v21, v43, v38);
            const auto v51 = tape[1 * numbers + i];
            const auto v52 = v44 * v51;
            const auto v53 = v26 + v52;
            const auto v54 = select(v13, v52, v53);
            const auto v55 = v54 * h.c2;
            write_dx(i, v55);
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
            const auto v33 = sigmoid<R>(v12, h.c9);
            const auto v34 = h.c8 * v33;
            const auto v35 = N(R(1.0)) - v33;
            const auto v36 = v34 * v35;
            tape[0 * numbers + i] = v36;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v29 = d_spike.at(i);
            const auto v36 = tape[0 * numbers + i];
            const auto v37 = v29 * v36;
            const auto v38 = v37 * h.c2;
            const auto v39 = -v37;
            const auto v41 = multiply_add(v39, h.c1, v37);
            write_dx(i, v38);
            d[0][i] = v41;
            d[1][i] = N(R(0.0));
        });
    }
};

// states rz coefficients - constants 10
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = abs %5
// %7 = mul c9 %6
// %8 = sub #1.0 %7
// %9 = lt %8 #0.0
// %10 = where %9 #0.0 %8
// %11 = mul c8 %10
// %12 = fire %5 %11
// %13 = detachif %12 c4
// %14 = sub #1.0 %13
// %15 = mul %14 %4
// %16 = mul %13 c5
// %17 = add %15 %16
// %18 = detachif %12 c6
// %19 = div %4 c7
// %20 = sigmoid %19
// %21 = mul s1 %20
// %22 = add %21 %12
// %23 = sigmoid %22
// %24 = mul %18 %23
// %25 = sub %17 %24
// out %12 %25 %22
struct Backward6 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {false, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, u6, c9, c4, c6, c8, u11;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            u6 = N(R(1.0)) / c7;
            c9 = N(constants[9]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            c8 = N(constants[8]);
            u11 = c5 - N(R(0.7310585786300049));
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n10[numbers];
        Number<R> n25[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            n10[i] = v10;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v10, h.u6);
            const auto v17 = s[1][i];
            const auto v23 = v17 * v22;
            const auto v24 = v23 + N(R(1.0));
            const auto v13 = N(R(0.0)) <= v12;
            const auto v25 = select(v13, v24, v23);
            n25[i] = v25;
            const auto v30 = absolute(v12);
            const auto v31 = h.c9 * v30;
            const auto v32 = N(R(1.0)) - v31;
            s[1][i] = v25;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v17;
            tape[2 * numbers + i] = v22;
            tape[4 * numbers + i] = v32;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v26 = sigmoid<R>(n25[i], N(R(1)));
            const auto v27 = h.c5 - v26;
            const auto v12 = n10[i] - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v28 = select(v13, v27, n10[i]);
            s[0][i] = v28;
            tape[3 * numbers + i] = v26;
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
            const auto v35 = d[0][i];
            const auto v36 = -v35;
            const auto v26 = tape[3 * numbers + i];
            const auto v37 = N(R(1.0)) - v26;
            const auto v38 = v36 * v37;
            const auto v34 = d[1][i];
            const auto v40 = multiply_add(v38, v26, v34);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v41 = select(v13, v40, v34);
            const auto v17 = tape[1 * numbers + i];
            const auto v42 = v41 * v17;
            const auto v22 = tape[2 * numbers + i];
            const auto v43 = N(R(1.0)) - v22;
            const auto v44 = v42 * v43;
            const auto v45 = v44 * v22;
            const auto v47 = v45 * h.u6;
            const auto v48 = v47 + v35;
            const auto v49 = select(v13, v47, v48);
            const auto v54 = d_spike.at(i);
            const auto v55 = v54 + v41;
            const auto v57 = multiply_add(v36, v26, v55);
            const auto v53 = equal(h.c6, N(R(0.0)));
            const auto v58 = select(v53, v57, v55);
            const auto v60 = v35 * v10;
            const auto v61 = -v60;
            const auto v62 = multiply_add(v35, h.c5, v61);
            const auto v63 = v58 + v62;
            const auto v51 = equal(h.c4, N(R(0.0)));
            const auto v64 = select(v51, v63, v58);
            const auto v32 = tape[4 * numbers + i];
            const auto v66 = h.c8 * v32;
            const auto v68 = multiply_add(v64, v66, v49);
            const auto v33 = v32 < N(R(0.0));
            const auto v69 = select(v33, v49, v68);
            const auto v70 = v69 * h.c2;
            const auto v71 = -v69;
            const auto v73 = multiply_add(v71, h.c1, v69);
            const auto v74 = v41 * v22;
            write_dx(i, v70);
            d[0][i] = v73;
            d[1][i] = v74;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
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
            const auto v19 = select(v13, h.u11, v10);
            const auto v15 = select(v13, N(R(1.0)), N(R(0.0)));
            const auto v21 = absolute(v12);
            const auto v22 = h.c9 * v21;
            const auto v23 = N(R(1.0)) - v22;
            s[0][i] = v19;
            s[1][i] = v15;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v23;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v31 = d[0][i];
            const auto v32 = -v31;
            const auto v34 = v32 * N(R(0.2689414213699951));
            const auto v30 = d[1][i];
            const auto v36 = multiply_add(v34, N(R(0.7310585786300049)), v30);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v37 = select(v13, v36, v30);
            const auto v29 = d_spike.at(i);
            const auto v38 = v29 + v37;
            const auto v40 = select(v13, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v42 = multiply_add(v32, v40, v38);
            const auto v28 = equal(h.c6, N(R(0.0)));
            const auto v43 = select(v28, v42, v38);
            const auto v45 = v31 * v10;
            const auto v46 = -v45;
            const auto v47 = multiply_add(v31, h.c5, v46);
            const auto v48 = v43 + v47;
            const auto v26 = equal(h.c4, N(R(0.0)));
            const auto v49 = select(v26, v48, v43);
            const auto v23 = tape[1 * numbers + i];
            const auto v51 = h.c8 * v23;
            const auto v52 = v49 * v51;
            const auto v24 = v23 < N(R(0.0));
            const auto v53 = select(v24, N(R(0.0)), v52);
            const auto v54 = v31 + v53;
            const auto v55 = select(v13, v53, v54);
            const auto v56 = v55 * h.c2;
            write_dx(i, v56);
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
            const auto v30 = absolute(v12);
            const auto v31 = h.c9 * v30;
            const auto v32 = N(R(1.0)) - v31;
            tape[0 * numbers + i] = v32;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v32 = tape[0 * numbers + i];
            const auto v36 = h.c8 * v32;
            const auto v34 = d_spike.at(i);
            const auto v37 = v34 * v36;
            const auto v38 = v37 * h.c2;
            const auto v33 = v32 < N(R(0.0));
            const auto v39 = select(v33, N(R(0.0)), v38);
            const auto v40 = -v37;
            const auto v42 = multiply_add(v40, h.c1, v37);
            const auto v43 = select(v33, N(R(0.0)), v42);
            write_dx(i, v39);
            d[0][i] = v43;
            d[1][i] = N(R(0.0));
        });
    }
};

// states rz coefficients - constants 10
// %0 = sub s0 c0
// %1 = mul %0 c1
// %2 = sub s0 %1
// %3 = mul x c2
// %4 = add %2 %3
// %5 = sub %4 c3
// %6 = mul c9 %5
// %7 = mul %6 %6
// %8 = add #1.0 %7
// %9 = div c8 %8
// %10 = fire %5 %9
// %11 = detachif %10 c4
// %12 = sub #1.0 %11
// %13 = mul %12 %4
// %14 = mul %11 c5
// %15 = add %13 %14
// %16 = detachif %10 c6
// %17 = div %4 c7
// %18 = sigmoid %17
// %19 = mul s1 %18
// %20 = add %19 %10
// %21 = sigmoid %20
// %22 = mul %16 %21
// %23 = sub %15 %22
// out %10 %23 %20
struct Backward7 {
    static constexpr int states = 2;
    static constexpr int coefficients = 0;
    static constexpr bool starts_from_rest = true;
    static constexpr bool by_channel[] = {false};
    template <class R, int numbers>
    using States = Number<R>[states][numbers];
    static constexpr int planes = 5;
    static constexpr bool rests_at_zero[] = {false, true};
    template <class R, int numbers>
    using Coefficients = Number<R>[coefficients ? coefficients : 1][numbers];

    template <class R>
    struct Uniforms {
        using N = Number<R>;
        N c0, c1, c2, c3, c5, c7, u6, c8, c9, c4, c6, u11;

        CLIF_INLINE Uniforms([[maybe_unused]] const R* constants,
                             [[maybe_unused]] const R* const* coefficients) {
            c0 = N(constants[0]);
            c1 = N(constants[1]);
            c2 = N(constants[2]);
            c3 = N(constants[3]);
            c5 = N(constants[5]);
            c7 = N(constants[7]);
            u6 = N(R(1.0)) / c7;
            c8 = N(constants[8]);
            c9 = N(constants[9]);
            c4 = N(constants[4]);
            c6 = N(constants[6]);
            u11 = c5 - N(R(0.7310585786300049));
        }
    };

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(Any, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
                                   [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                   [[maybe_unused]] Number<R>* tape) {
        using N [[maybe_unused]] = Number<R>;
        Number<R> n10[numbers];
        Number<R> n25[numbers];
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v1 = s[0][i];
            const auto v3 = v1 - h.c0;
            const auto v5 = v3 * h.c1;
            const auto v6 = v1 - v5;
            const auto v7 = x.at(i);
            const auto v9 = v7 * h.c2;
            const auto v10 = v6 + v9;
            n10[i] = v10;
            const auto v12 = v10 - h.c3;
            const auto v22 = sigmoid<R>(v10, h.u6);
            const auto v17 = s[1][i];
            const auto v23 = v17 * v22;
            const auto v24 = v23 + N(R(1.0));
            const auto v13 = N(R(0.0)) <= v12;
            const auto v25 = select(v13, v24, v23);
            n25[i] = v25;
            const auto v62 = h.c9 * v12;
            const auto v63 = v62 * v62;
            const auto v64 = N(R(1.0)) + v63;
            const auto v65 = h.c8 / v64;
            s[1][i] = v25;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v17;
            tape[2 * numbers + i] = v22;
            tape[4 * numbers + i] = v65;
        });
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v26 = sigmoid<R>(n25[i], N(R(1)));
            const auto v27 = h.c5 - v26;
            const auto v12 = n10[i] - h.c3;
            const auto v13 = N(R(0.0)) <= v12;
            const auto v28 = select(v13, v27, n10[i]);
            s[0][i] = v28;
            tape[3 * numbers + i] = v26;
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
            const auto v30 = d[0][i];
            const auto v31 = -v30;
            const auto v26 = tape[3 * numbers + i];
            const auto v32 = N(R(1.0)) - v26;
            const auto v33 = v31 * v32;
            const auto v29 = d[1][i];
            const auto v35 = multiply_add(v33, v26, v29);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v36 = select(v13, v35, v29);
            const auto v17 = tape[1 * numbers + i];
            const auto v37 = v36 * v17;
            const auto v22 = tape[2 * numbers + i];
            const auto v38 = N(R(1.0)) - v22;
            const auto v39 = v37 * v38;
            const auto v40 = v39 * v22;
            const auto v42 = v40 * h.u6;
            const auto v43 = v42 + v30;
            const auto v44 = select(v13, v42, v43);
            const auto v49 = d_spike.at(i);
            const auto v50 = v49 + v36;
            const auto v52 = multiply_add(v31, v26, v50);
            const auto v48 = equal(h.c6, N(R(0.0)));
            const auto v53 = select(v48, v52, v50);
            const auto v55 = v30 * v10;
            const auto v56 = -v55;
            const auto v57 = multiply_add(v30, h.c5, v56);
            const auto v58 = v53 + v57;
            const auto v46 = equal(h.c4, N(R(0.0)));
            const auto v59 = select(v46, v58, v53);
            const auto v65 = tape[4 * numbers + i];
            const auto v67 = multiply_add(v59, v65, v44);
            const auto v68 = v67 * h.c2;
            const auto v69 = -v67;
            const auto v71 = multiply_add(v69, h.c1, v67);
            const auto v72 = v36 * v22;
            write_dx(i, v68);
            d[0][i] = v71;
            d[1][i] = v72;
        });
    }

    template <class R, int numbers, class X>
    static CLIF_INLINE void record(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] States<R, numbers>& s,
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
            const auto v19 = select(v13, h.u11, v10);
            const auto v15 = select(v13, N(R(1.0)), N(R(0.0)));
            const auto v47 = h.c9 * v12;
            const auto v48 = v47 * v47;
            const auto v49 = N(R(1.0)) + v48;
            const auto v50 = h.c8 / v49;
            s[0][i] = v19;
            s[1][i] = v15;
            tape[0 * numbers + i] = v10;
            tape[1 * numbers + i] = v50;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(FromRest, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v10 = tape[0 * numbers + i];
            const auto v12 = v10 - h.c3;
            const auto v26 = d[0][i];
            const auto v27 = -v26;
            const auto v29 = v27 * N(R(0.2689414213699951));
            const auto v25 = d[1][i];
            const auto v31 = multiply_add(v29, N(R(0.7310585786300049)), v25);
            const auto v13 = N(R(0.0)) <= v12;
            const auto v32 = select(v13, v31, v25);
            const auto v24 = d_spike.at(i);
            const auto v33 = v24 + v32;
            const auto v35 = select(v13, N(R(0.7310585786300049)), N(R(0.5)));
            const auto v37 = multiply_add(v27, v35, v33);
            const auto v23 = equal(h.c6, N(R(0.0)));
            const auto v38 = select(v23, v37, v33);
            const auto v40 = v26 * v10;
            const auto v41 = -v40;
            const auto v42 = multiply_add(v26, h.c5, v41);
            const auto v43 = v38 + v42;
            const auto v21 = equal(h.c4, N(R(0.0)));
            const auto v44 = select(v21, v43, v38);
            const auto v50 = tape[1 * numbers + i];
            const auto v51 = v44 * v50;
            const auto v52 = v26 + v51;
            const auto v53 = select(v13, v51, v52);
            const auto v54 = v53 * h.c2;
            write_dx(i, v54);
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
            const auto v32 = h.c9 * v12;
            const auto v33 = v32 * v32;
            const auto v34 = N(R(1.0)) + v33;
            const auto v35 = h.c8 / v34;
            tape[0 * numbers + i] = v35;
        });
    }

    template <class R, int numbers, class X, class Incoming, class Write>
    static CLIF_INLINE void retreat(Last, [[maybe_unused]] const X& x, [[maybe_unused]] const Number<R>* tape,
                                    [[maybe_unused]] const Incoming& d_spike, States<R, numbers>& d,
                                    [[maybe_unused]] const Uniforms<R>& h, [[maybe_unused]] const Channels<R>& k,
                                    [[maybe_unused]] Coefficients<R, numbers>& d_k, const Write& write_dx) {
        using N [[maybe_unused]] = Number<R>;
        over<numbers>([&](int i) CLIF_INLINE_LAMBDA {
            const auto v29 = d_spike.at(i);
            const auto v35 = tape[0 * numbers + i];
            const auto v36 = v29 * v35;
            const auto v37 = v36 * h.c2;
            const auto v38 = -v36;
            const auto v40 = multiply_add(v38, h.c1, v36);
            write_dx(i, v37);
            d[0][i] = v40;
            d[1][i] = N(R(0.0));
        });
    }
};

// Sets `unit` to that of the program with the key; returns false if there is none.
template <class S>
bool find(std::uint64_t key, Unit& unit) {
    switch (key) {
        case 0xb8e3353915e758c4: unit = unit_of<Forward0, Backward0, S>(); return true;
        case 0x08a734be3e2bc388: unit = unit_of<Forward0, Backward1, S>(); return true;
        case 0xdcbf6890be6279c3: unit = unit_of<Forward0, Backward2, S>(); return true;
        case 0x4a55d4f412b8043e: unit = unit_of<Forward0, Backward3, S>(); return true;
        case 0x3d96443566c1de13: unit = unit_of<Forward1, Backward4, S>(); return true;
        case 0x6115f8d282d11d9b: unit = unit_of<Forward1, Backward5, S>(); return true;
        case 0x979a3777b1ae469a: unit = unit_of<Forward1, Backward6, S>(); return true;
        case 0x756f26d005ef63e1: unit = unit_of<Forward1, Backward7, S>(); return true;
        default: return false;
    }
}

}  // namespace
}  // namespace clif::CLIF_ISA
