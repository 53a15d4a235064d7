"""The neurons' equations and loops in Triton; `clif.ops.reference` states the same in PyTorch.

A program takes blocks of neurons [BLOCK] through all T steps. `NEURON` is "CLIF", "LIF" or "PLIF"; `m` is carried
along but unused by the last two. `reset` is what a hard reset sets v to, or what a soft reset subtracts.
"""

import triton
import triton.language as tl


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
def forward(
    x, v, m, leak, T, size, x_stride, v_stride, m_stride, fixed_leak, threshold, reset,
    spike, v_last, m_last,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """spike [T, size], v_last and m_last [size] from x [T, size] and the state."""
    rate, gain = _rates(leak, fixed_leak, NEURON, DECAY_INPUT)
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    v_now = tl.load(v + at * v_stride, inside, 0.0)
    m_now = tl.load(m + at * m_stride, inside, 0.0)
    for step in range(T):
        t = tl.cast(step, tl.int64)
        x_now = tl.load(x + t * x_stride + at, inside, 0.0).to(tl.float32)
        _, s, _, _, v_now, m_now = _advance(x_now, v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET)
        tl.store(spike + t * size + at, s, inside)
    if NEURON == "CLIF":
        tl.store(m_last + at, m_now, inside)
    tl.store(v_last + at, v_now, inside)


@triton.jit
def backward(
    x, v, m, leak, T, size, x_stride, v_stride, m_stride, fixed_leak, threshold, reset,
    d_spike, d_v_last, d_m_last, dx, dv, dm, d_leak, scratch, d_spike_stride, alpha,
    NEURON: tl.constexpr, HARD_RESET: tl.constexpr, DECAY_INPUT: tl.constexpr, BLOCK: tl.constexpr,
    SURROGATE: tl.constexpr, DETACH_RESET: tl.constexpr,
    HAS_D_SPIKE: tl.constexpr, HAS_D_V_LAST: tl.constexpr, HAS_D_M_LAST: tl.constexpr,
    HAS_DV: tl.constexpr, HAS_DM: tl.constexpr, HAS_D_LEAK: tl.constexpr,
):  # fmt: skip
    """dx [T, size] and what else is asked for; scratch [programs, T, 2, BLOCK] takes v and m before each step."""
    rate, gain = _rates(leak, fixed_leak, NEURON, DECAY_INPUT)
    program = tl.program_id(0).to(tl.int64)
    for block in range(program, tl.cdiv(size, BLOCK), tl.num_programs(0)):
        lane = tl.arange(0, BLOCK)
        at = block * BLOCK + lane
        inside = at < size
        tape = scratch + program * T * 2 * BLOCK + lane
        v_now = tl.load(v + at * v_stride, inside, 0.0)
        m_now = tl.load(m + at * m_stride, inside, 0.0)
        for step in range(T):
            t = tl.cast(step, tl.int64)
            tl.store(tape + t * 2 * BLOCK, v_now)
            tl.store(tape + (t * 2 + 1) * BLOCK, m_now)
            x_now = tl.load(x + t * x_stride + at, inside, 0.0).to(tl.float32)
            _, _, _, _, v_now, m_now = _advance(x_now, v_now, m_now, rate, gain, threshold, reset, NEURON, HARD_RESET)
        tl.debug_barrier()

        zero = tl.zeros([BLOCK], tl.float32)
        dv_now = tl.load(d_v_last + at, inside, 0.0) if HAS_D_V_LAST else zero
        dm_now = tl.load(d_m_last + at, inside, 0.0) if HAS_D_M_LAST else zero
        d_leak_now = zero
        for step in range(T):
            t = tl.cast(T - 1 - step, tl.int64)
            v_before = tl.load(tape + t * 2 * BLOCK)
            m_before = tl.load(tape + (t * 2 + 1) * BLOCK)
            x_now = tl.load(x + t * x_stride + at, inside, 0.0).to(tl.float32)
            u, s, p, q, _, _ = _advance(x_now, v_before, m_before, rate, gain, threshold, reset, NEURON, HARD_RESET)

            ds = tl.load(d_spike + t * d_spike_stride + at, inside, 0.0).to(tl.float32) if HAS_D_SPIKE else zero
            v_spike = reset - u if HARD_RESET else zero - reset
            if NEURON == "CLIF":
                v_spike -= q
                dm_now -= dv_now * s * q * (1.0 - q)
                ds += dm_now
            if not DETACH_RESET:
                ds += dv_now * v_spike
            du = dv_now * (1.0 - s) if HARD_RESET else dv_now
            du += ds * _surrogate(u - threshold, alpha, SURROGATE)
            if NEURON == "CLIF":
                du += dm_now * m_before * p * (1.0 - p) * rate
                dm_now *= p
            if HAS_D_LEAK:
                distance = v_before - reset if HARD_RESET else v_before
                d_leak_now += du * (x_now - distance if DECAY_INPUT else -distance)
            dv_now = du * (1.0 - rate)
            tl.store(dx + t * size + at, du * gain, inside)
        if HAS_DV:
            tl.store(dv + at, dv_now, inside)
        if HAS_DM:
            tl.store(dm + at, dm_now, inside)
        if HAS_D_LEAK:
            tl.store(d_leak + at, d_leak_now, inside)
        tl.debug_barrier()
