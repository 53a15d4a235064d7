"""The structs of the kernels' C interface (csrc/problem.hpp), field by field."""

import ctypes

from clif.generate.program import MOST_COEFFICIENTS, MOST_STATES


class NormProblem(ctypes.Structure):
    """`struct NormProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("steps", "pixels", "channels", "x_stride")),
        *((name, ctypes.c_void_p) for name in ("x", "mean", "var", "dx", "of_dx", "of_x", "constant")),
        *((name, ctypes.c_int32) for name in ("dtype", "threads", "isa")),
    )


class SpikeConvProblem(ctypes.Structure):
    """`struct SpikeConvProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels")),
        *((name, ctypes.c_int64) for name in ("out_height", "out_width", "out_channels")),
        *((name, ctypes.c_int64) for name in ("kernel", "stride", "padding")),
        *((name, ctypes.c_void_p) for name in ("words", "weight", "bias", "out", "d_out", "d_weight", "rows")),
        ("spike", ctypes.c_double),
        *((name, ctypes.c_int32) for name in ("dtype", "threads", "isa")),
    )


class PackProblem(ctypes.Structure):
    """`struct PackProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("size", "count")),
        *((name, ctypes.c_void_p) for name in ("elements", "words")),
        ("spike", ctypes.c_double),
        *((name, ctypes.c_int32) for name in ("dtype", "threads", "isa")),
    )


class NeuronProblem(ctypes.Structure):
    """`struct NeuronProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        ("unit", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("steps", "size", "x_stride", "d_spike_stride")),
        ("state_stride", ctypes.c_int64 * MOST_STATES),
        ("period", ctypes.c_int64 * MOST_COEFFICIENTS),
        ("x", ctypes.c_void_p),
        ("state", ctypes.c_void_p * MOST_STATES),
        ("coefficient", ctypes.c_void_p * MOST_COEFFICIENTS),
        ("constants", ctypes.c_void_p),
        ("constant_count", ctypes.c_int64),
        ("spike", ctypes.c_void_p),
        ("last", ctypes.c_void_p * MOST_STATES),
        ("d_spike", ctypes.c_void_p),
        ("d_last", ctypes.c_void_p * MOST_STATES),
        ("dx", ctypes.c_void_p),
        ("d_state", ctypes.c_void_p * MOST_STATES),
        ("d_coefficient", ctypes.c_void_p * MOST_COEFFICIENTS),
        *((name, ctypes.c_void_p) for name in ("scale", "shift", "mean", "norm_sums")),
        ("channels", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("dtype", "threads")),
    )


class SumProblem(ctypes.Structure):
    """`struct SumProblem` of csrc/problem.hpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("outer", "channels", "inner")),
        *((name, ctypes.c_void_p) for name in ("values", "sums")),
        *((name, ctypes.c_int32) for name in ("dtype", "threads")),
    )


ALL: tuple[type[ctypes.Structure], ...] = (NormProblem, PackProblem, SpikeConvProblem, NeuronProblem, SumProblem)
"""The structs in the order in which the library numbers them."""


def differing(library: ctypes.CDLL) -> str | None:
    """The name of a struct whose size differs from that in the library, or None."""
    library.clif_struct_bytes.restype = ctypes.c_int64
    for number, struct in enumerate(ALL):
        if library.clif_struct_bytes(number) != ctypes.sizeof(struct):
            return struct.__name__
    return None
