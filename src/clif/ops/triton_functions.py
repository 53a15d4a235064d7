"""The functions of a neuron's step beyond arithmetic in Triton, for the generated kernels, and their shared parts.

They also run in Triton's interpreter, which has no device library. Relative errors on a GPU, in units in the last
place: `exponential` 6, `logarithm` 3, `hyperbolic_tangent` 4, `softplus` 6; `power` is computed in float64. NaN stays
NaN; at an infinity, the result is the limit.
"""

import triton
import triton.language as tl


@triton.jit
def place_in_row(first, BLOCK: tl.constexpr, period, WIDE: tl.constexpr):
    """The positions of the elements [BLOCK] from `first` on in a row that repeats.

    It avoids a division of 64 bits for each element, unless a row is so `WIDE` that it needs them.
    """
    start = first % period
    if not WIDE:
        start = start.to(tl.int32)
    return (start + tl.arange(0, BLOCK)) % period


@triton.jit
def channel_of(first, BLOCK: tl.constexpr, channels):
    """The channels of the elements [BLOCK] from `first` on, if channels are adjacent in memory."""
    return place_in_row(first, BLOCK, channels, False)


@triton.jit
def read(sequence, step, stride, at, inside):
    """The step [BLOCK] of a sequence, as float32."""
    return tl.load(sequence + step * stride + at, inside, 0.0).to(tl.float32)


@triton.jit
def spread(value, zero):
    """A value that is the same for all neurons, as [BLOCK], the shape of `zero`."""
    return tl.where(zero == 0.0, value, value)


@triton.jit
def nearest(x):
    """To the nearest whole number, ties to even: adding and subtracting 2²³ rounds a smaller number."""
    size = tl.abs(x)
    rounded = (size + 8388608.0) - 8388608.0
    return tl.where(size < 8388608.0, tl.where(x < 0.0, -rounded, rounded), x)


@triton.jit
def _power_of_two(n):
    """2ⁿ for whole n from −126 to 127."""
    return ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def exponential(x):
    """2ⁿ·eʳ with |r| ≤ ½ ln 2. 2ⁿ is two factors, because it may overflow if the product does not."""
    bounded = tl.minimum(tl.maximum(x, -104.0), 89.0)
    n = (bounded * 1.4426950408889634 + 12582912.0) - 12582912.0
    r = (bounded - n * 0.693145751953125) - n * 1.42860677e-6
    half = tl.floor(n * 0.5)
    scaled = tl.exp2(r * 1.4426950408889634) * _power_of_two(half) * _power_of_two(n - half)
    return tl.where(x == x, scaled, x)


@triton.jit
def _twice_artanh(s, TERMS: tl.constexpr):
    """2·artanh(s) = s·(2 + 2/3·s² + 2/5·s⁴ + …)."""
    square = s * s
    total = square * 0.0 + 2.0 / (2 * TERMS - 1)
    for i in tl.static_range(TERMS - 2, -1, -1):
        total = total * square + 2.0 / (2 * i + 1)
    return s * total


@triton.jit
def logarithm(x):
    """e·ln 2 + 2·artanh((m − 1)/(m + 1)) of x = m·2ᵉ with m in [√½, √2]."""
    tiny = x < 1.17549435e-38
    lifted = tl.where(tiny, x * 33554432.0, x)
    bits = lifted.to(tl.int32, bitcast=True)
    mantissa = ((bits & 0x007FFFFF) | 0x3F800000).to(tl.float32, bitcast=True)
    exponent = (((bits >> 23) & 0xFF) - 127).to(tl.float32)
    large = mantissa > 1.4142135
    mantissa = tl.where(large, mantissa * 0.5, mantissa)
    exponent = tl.where(large, exponent + 1.0, exponent)
    exponent = tl.where(tiny, exponent - 25.0, exponent)
    low = exponent * 1.42860677e-6 + _twice_artanh((mantissa - 1.0) / (mantissa + 1.0), 6)
    result = exponent * 0.693145751953125 + low
    result = tl.where(x < float("inf"), result, x)  # infinity and NaN do not change
    return tl.where(x > 0.0, result, tl.where(x == 0.0, float("-inf"), float("nan")))


@triton.jit
def hyperbolic_tangent(x):
    """A polynomial near 0, else 1 − 2·σ(−2|x|) with the sign of x."""
    square = x * x
    size = tl.abs(x)
    near = square * -0.00565713518438039149 + 0.020588191454586372
    near = near * square - 0.053720107656628939
    near = near * square + 0.133311140556897688
    near = near * square - 0.333332598629475277
    near = near * square + 0.999999996022721743
    far = 1.0 - 2.0 * tl.sigmoid(-2.0 * size)
    return tl.where(size <= 0.625, x * near, tl.where(x < 0.0, -far, far))


@triton.jit
def softplus(x):
    """max(x, 0) + log(1 + e^−|x|), with log(1 + z) = 2·artanh(z/(2 + z)). If x > 20 it is x, as in PyTorch."""
    z = exponential(-tl.abs(x))
    return tl.where(x > 20.0, x, tl.where(x < 0.0, 0.0, x) + _twice_artanh(z / (2.0 + z), 8))


@triton.jit
def power(base, exponent):
    """base^exponent with the signs and limits of C's pow."""
    given = (base == base) | (exponent == exponent)
    a = tl.where(given, base, base).to(tl.float64)  # with the shape of both, if one is a number
    b = tl.where(given, exponent, exponent).to(tl.float64)
    size = tl.abs(a)
    magnitude = tl.where((size == 1.0) | (b == 0.0), 1.0, tl.exp2(b * tl.log2(size)))
    whole = tl.floor(b) == b
    odd = whole & (tl.floor(b * 0.5) * 2.0 != b)
    signed = tl.where(odd & (a.to(tl.int64, bitcast=True) < 0), -magnitude, magnitude)
    undefined = (a < 0.0) & (size < float("inf")) & (whole == 0)
    return tl.where(undefined, float("nan"), signed).to(tl.float32)
