"""The neurons' equations and loops in Triton; `clif.ops.reference` states the same in PyTorch.

A program takes a block of neurons [BLOCK] through all T steps. `NEURON` is "CLIF", "LIF" or "PLIF"; `m` is carried
along but unused by the last two. `reset` is what a hard reset sets v to, or what a soft reset subtracts.

With `STEPS` the loops are unrolled to that many steps, else they run to the argument `T`. Unrolled, a program asks for
all it reads before it writes (the compiler may not move a read ahead of a write), and the backward pass keeps the
states of all steps in registers; looped, it puts them into a scratch.

With `HAS_NORM` a batch norm comes first: channels, the number of which is `channels`, lie closest in memory, and x of
step t and channel c counts as x·scale[t, c] + shift[t, c]. The backward pass then goes over its input in rows of `row`
elements, a whole number of pixels: a program takes the same columns of every row, so that each of its lanes meets a
single channel, and adds up the gradients and their products with x − mean in `sums` [T, 2, row].
"""

import triton
import triton.language as tl

from clif.ops.triton_functions import channel_of


@triton.jit
def _rates(leak, fixed_leak, NEURON: tl.constexpr, DECAY_INPUT: tl.constexpr):
    """1/τ, which PLIF has in memory, and the gain of the input."""
    rate = tl.load(leak).to(tl.float32) if NEURON == "PLIF" else fixed_leak
    gain = rate if DECAY_INPUT else 1.0
    return rate, gain


@triton.jit
def _advance(x, v, m, rate, gain, threshold, reset, NEURON: tl.constexpr, HARD_RESET: tl.constexpr):
    """One step. Returns u, the spike, p = σ(u/τ), q = σ(m) and the new v and m."""
    if HARD_RESET:
        u = v - (v - reset) * rate + x * gain
    else:
        u = v * (1.0 - rate) + x * gain
    s = tl.where(u - threshold >= 0, 1.0, 0.0)
    if HARD_RESET:
        v = (1.0 - s) * u + s * reset
    else:
        v = u - s * reset
    p = m
    q = m
    if NEURON == "CLIF":
        p = tl.sigmoid(u * rate)
        m = m * p + s
        q = tl.sigmoid(m)
        v -= s * q
    return u, s, p, q, v, m


@triton.jit
def _surrogate(x, alpha, SURROGATE: tl.constexpr):
    """What replaces the derivative of the spike at x = u − v_threshold; see `clif.surrogate`."""
    if SURROGATE == "rectangle":
        derivative = tl.where(tl.abs(x) <= alpha / 2, 1.0 / alpha, 0.0)
    elif SURROGATE == "sigmoid":
        s = tl.sigmoid(alpha * x)
        derivative = alpha * s * (1.0 - s)
    elif SURROGATE == "triangle":
        derivative = alpha * tl.maximum(1.0 - alpha * tl.abs(x), 0.0)
    else:
        slope = 1.5707963267948966 * alpha * x
        derivative = alpha / 2 / (1.0 + slope * slope)
    return derivative


@triton.jit
def _retreat(
    x, v, m, ds, dv, dm, rate, gain, threshold, reset, alpha,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr,
    SURROGATE: tl.constexpr, DETACH_RESET: tl.constexpr,
):  # fmt: skip
    """One step back: from x, the state before the step and the gradients of its spike and of the state after it.

    Returns the gradients of u, of v and m before the step, and of 1/τ.
    """
    u, s, p, q, _, _ = _advance(x, v, m, rate, gain, threshold, reset, NEURON, HARD_RESET)
    v_spike = reset - u if HARD_RESET else -reset
    if NEURON == "CLIF":
        v_spike -= q
        dm -= dv * s * q * (1.0 - q)
        ds += dm
    if not DETACH_RESET:
        ds += dv * v_spike
    du = dv * (1.0 - s) if HARD_RESET else dv
    du += ds * _surrogate(u - threshold, alpha, SURROGATE)
    if NEURON == "CLIF":
        du += dm * m * p * (1.0 - p) * rate
        dm *= p
    distance = v - reset if HARD_RESET else v
    d_rate = du * (x - distance if DECAY_INPUT else -distance)
    return du, du * (1.0 - rate), dm, d_rate


@triton.jit
def _read(sequence, step, stride, at, inside):
    """The step [BLOCK] of a sequence, as float32."""
    return tl.load(sequence + step * stride + at, inside, 0.0).to(tl.float32)


@triton.jit
def _normalised(x, scale, shift, step, channels, channel, HAS_NORM: tl.constexpr):
    """The input of the neuron from what was read."""
    if HAS_NORM:
        x = x * tl.load(scale + step * channels + channel) + tl.load(shift + step * channels + channel)
    return x


@triton.jit
def forward(
    x, v, m, leak, scale, shift, T, size, x_stride, v_stride, m_stride, channels, fixed_leak, threshold, reset,
    spike, v_last, m_last,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr, HAS_NORM: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, KEEP_STATE: tl.constexpr,
):  # fmt: skip
    """spike [T, size], and if wanted v_last and m_last [size], from x [T, size] and the state."""
    rate, gain = _rates(leak, fixed_leak, NEURON, DECAY_INPUT)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    channel = channel_of(first, BLOCK, channels) if HAS_NORM else 0
    at = first + tl.arange(0, BLOCK)
    inside = at < size
    far = tl.cast(x_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    v_now = tl.load(v + at * v_stride, inside, 0.0)
    m_now = tl.load(m + at * m_stride, inside, 0.0)
    if STEPS > 0:
        xs = ()
        for step in tl.static_range(STEPS):
            x_now = _read(x, step, far, at, inside)
            xs = xs + (_normalised(x_now, scale, shift, step, channels, channel, HAS_NORM),)
        for step in tl.static_range(STEPS):
            x_now = xs[step]
            _, s, _, _, v_now, m_now = _advance(x_now, v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET)
            tl.store(spike + step * wide + at, s, inside)
    else:
        for step in range(T):
            x_now = _read(x, step, far, at, inside)
            x_now = _normalised(x_now, scale, shift, step, channels, channel, HAS_NORM)
            _, s, _, _, v_now, m_now = _advance(x_now, v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET)
            tl.store(spike + step * wide + at, s, inside)
    if KEEP_STATE:
        if NEURON == "CLIF":
            tl.store(m_last + at, m_now, inside)
        tl.store(v_last + at, v_now, inside)


@triton.jit
def backward_unrolled(
    x, v, m, leak, scale, shift, size, x_stride, v_stride, m_stride, channels, fixed_leak, threshold, reset,
    d_spike, d_v_last, d_m_last, dx, dv, dm, d_leak, mean, sums, d_spike_stride, row, alpha,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr, HAS_NORM: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, SURROGATE: tl.constexpr, DETACH_RESET: tl.constexpr,
    HAS_D_SPIKE: tl.constexpr, HAS_D_V_LAST: tl.constexpr, HAS_D_M_LAST: tl.constexpr,
    HAS_DV: tl.constexpr, HAS_DM: tl.constexpr, HAS_D_LEAK: tl.constexpr,
):  # fmt: skip
    """dx [T, size] and what else is asked for; x, the incoming gradients and all states stay in registers.

    So do the sums of a batch norm, and the channels are found anew in every row: known before the rows, the compiler
    would keep the addresses of what all steps read there, at the cost of more registers than there are.
    """
    rate, gain = _rates(leak, fixed_leak, NEURON, DECAY_INPUT)
    far = tl.cast(x_stride, tl.int64)
    d_far = tl.cast(d_spike_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    column = first + tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], tl.float32)
    totals = ()
    for _i in tl.static_range(2 * STEPS if HAS_NORM else 0):
        totals = totals + (zero,)
    for row_index in range(tl.cdiv(size, row) if HAS_NORM else 1):
        start = row_index * tl.cast(row, tl.int64)
        channel = channel_of(start + first, BLOCK, channels) if HAS_NORM else 0
        at = start + column
        inside = (at < size) & (column < row) if HAS_NORM else at < size
        v_now = tl.load(v + at * v_stride, inside, 0.0)
        m_now = tl.load(m + at * m_stride, inside, 0.0)
        xs = ()
        d_spikes = ()
        distances = ()
        for step in tl.static_range(STEPS):
            x_now = _read(x, step, far, at, inside)
            xs = xs + (_normalised(x_now, scale, shift, step, channels, channel, HAS_NORM),)
            if HAS_NORM:
                distances = distances + (x_now - tl.load(mean + step * channels + channel),)
            d_spikes = d_spikes + (_read(d_spike, step, d_far, at, inside) if HAS_D_SPIKE else zero,)
        vs = ()
        ms = ()
        for step in tl.static_range(STEPS):
            vs = vs + (v_now,)
            ms = ms + (m_now,)
            _, _, _, _, v_now, m_now = _advance(
                xs[step], v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET
            )

        dv_now = tl.load(d_v_last + at, inside, 0.0) if HAS_D_V_LAST else zero
        dm_now = tl.load(d_m_last + at, inside, 0.0) if HAS_D_M_LAST else zero
        d_leak_now = zero
        grown = ()
        for step in tl.static_range(STEPS - 1, -1, -1):
            du, dv_now, dm_now, d_rate = _retreat(
                xs[step], vs[step], ms[step], d_spikes[step], dv_now, dm_now, rate, gain, threshold, reset, alpha,
                NEURON, HARD_RESET, DECAY_INPUT, SURROGATE, DETACH_RESET,
            )  # fmt: skip
            d_leak_now += d_rate
            tl.store(dx + step * wide + at, du * gain, inside)
            if HAS_NORM:
                product = du * gain * distances[step]
                grown = (totals[2 * step] + du * gain, totals[2 * step + 1] + product) + grown
        totals = grown
        if HAS_DV:
            tl.store(dv + at, dv_now, inside)
        if HAS_DM:
            tl.store(dm + at, dm_now, inside)
        if HAS_D_LEAK:
            tl.store(d_leak + at, d_leak_now, inside)
    for i in tl.static_range(2 * STEPS if HAS_NORM else 0):
        tl.store(sums + i * row + column, totals[i], column < row)


@triton.jit
def backward_looped(
    x, v, m, leak, scale, shift, T, size, x_stride, v_stride, m_stride, channels, fixed_leak, threshold, reset,
    d_spike, d_v_last, d_m_last, dx, dv, dm, d_leak, mean, sums, d_spike_stride, row, alpha, scratch,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr, HAS_NORM: tl.constexpr,
    BLOCK: tl.constexpr, SURROGATE: tl.constexpr, DETACH_RESET: tl.constexpr,
    HAS_D_SPIKE: tl.constexpr, HAS_D_V_LAST: tl.constexpr, HAS_D_M_LAST: tl.constexpr,
    HAS_DV: tl.constexpr, HAS_DM: tl.constexpr, HAS_D_LEAK: tl.constexpr,
):  # fmt: skip
    """The same for any T; scratch [programs, T, 2, BLOCK] takes v and m before each step, `sums` begin as zeros."""
    rate, gain = _rates(leak, fixed_leak, NEURON, DECAY_INPUT)
    far = tl.cast(x_stride, tl.int64)
    d_far = tl.cast(d_spike_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    lane = tl.arange(0, BLOCK)
    program = tl.program_id(0).to(tl.int64)
    column = program * BLOCK + lane
    channel = channel_of(program * BLOCK, BLOCK, channels) if HAS_NORM else 0
    tape = scratch + program * T * 2 * BLOCK + lane
    for row_index in range(tl.cdiv(size, row)):
        at = column + row_index * tl.cast(row, tl.int64)
        inside = (at < size) & (column < row)
        v_now = tl.load(v + at * v_stride, inside, 0.0)
        m_now = tl.load(m + at * m_stride, inside, 0.0)
        for step in range(T):
            tl.store(tape + step * 2 * BLOCK, v_now)
            tl.store(tape + (step * 2 + 1) * BLOCK, m_now)
            x_now = _read(x, step, far, at, inside)
            x_now = _normalised(x_now, scale, shift, step, channels, channel, HAS_NORM)
            _, _, _, _, v_now, m_now = _advance(x_now, v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET)
        tl.debug_barrier()

        zero = tl.zeros([BLOCK], tl.float32)
        dv_now = tl.load(d_v_last + at, inside, 0.0) if HAS_D_V_LAST else zero
        dm_now = tl.load(d_m_last + at, inside, 0.0) if HAS_D_M_LAST else zero
        d_leak_now = zero
        for back in range(T):
            step = T - 1 - back
            v_before = tl.load(tape + step * 2 * BLOCK)
            m_before = tl.load(tape + (step * 2 + 1) * BLOCK)
            x_read = _read(x, step, far, at, inside)
            x_now = _normalised(x_read, scale, shift, step, channels, channel, HAS_NORM)
            ds = _read(d_spike, step, d_far, at, inside) if HAS_D_SPIKE else zero
            du, dv_now, dm_now, d_rate = _retreat(
                x_now, v_before, m_before, ds, dv_now, dm_now, rate, gain, threshold, reset, alpha,
                NEURON, HARD_RESET, DECAY_INPUT, SURROGATE, DETACH_RESET,
            )  # fmt: skip
            d_leak_now += d_rate
            tl.store(dx + step * wide + at, du * gain, inside)
            if HAS_NORM:
                product = du * gain * (x_read - tl.load(mean + step * channels + channel))
                total = sums + 2 * step.to(tl.int64) * row + column
                tl.store(total, tl.load(total, inside, 0.0) + du * gain, inside)
                tl.store(total + row, tl.load(total + row, inside, 0.0) + product, inside)
        if HAS_DV:
            tl.store(dv + at, dv_now, inside)
        if HAS_DM:
            tl.store(dm + at, dm_now, inside)
        if HAS_D_LEAK:
            tl.store(d_leak + at, d_leak_now, inside)
        tl.debug_barrier()
