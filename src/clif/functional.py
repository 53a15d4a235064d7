"""The neurons as pure functions: they return the new state and keep nothing.

`*_step(x, state, ...)` computes one step: x [N, *] -> (spikes [N, *], new state).
`*_multi_step(x_seq, state=None, ..., backend="auto")` does a sequence: x_seq [T, N, *] -> (spikes [T, N, *], state).
With `keep_state=False` it returns () for the state, which is then not computed: that takes less time and memory.

The state is (v, m) for CLIF and (v,) for LIF and PLIF, tensors of shape [N, *]; `None` starts at rest, which is v = 0
(v = v_reset with a hard reset) and m = 0. Inputs may be of any floating dtype; float16 and bfloat16 are computed in
float32 and keep a float32 state. The equations are in `clif.ops.reference`.

All of them raise `InputError` for integer inputs, a missing time axis, a state of another shape or device, tau ≤ 1
(tau = 1 would forget everything in a single step, so it is refused too) and v_reset ≥ v_threshold.
"""

import math

from torch import Tensor

from clif.errors import InputError
from clif.ops import dispatch, reference
from clif.ops.reference import State, SurrogateFunction
from clif.surrogate import Rectangle

STATE_NAMES = {"CLIF": ("v", "m"), "LIF": ("v",), "PLIF": ("v",)}

_RECTANGLE = Rectangle()


def clif_step(
    x: Tensor,
    state: State | None,
    tau: float = 2.0,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
) -> tuple[Tensor, State]:
    """One step of CLIF (Huang et al., ICML 2024): x [N, *], state (v, m) -> spikes [N, *], new (v, m)."""
    check_dynamics(tau, v_threshold, v_reset)
    return reference.clif_step(
        x,
        prepare_state("CLIF", x, state, v_reset),
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )


def clif_multi_step(
    x_seq: Tensor,
    state: State | None = None,
    tau: float = 2.0,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """CLIF over a sequence: x_seq [T, N, *], state (v, m) -> spikes [T, N, *], (v, m) after the last step."""
    check_dynamics(tau, v_threshold, v_reset)
    return dispatch.multi_step(
        "CLIF",
        x_seq,
        prepare_state("CLIF", first_step(x_seq), state, v_reset),
        backend,
        keep_state,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )


def lif_step(
    x: Tensor,
    state: State | None,
    tau: float = 2.0,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
    v_subtract: float | None = None,
) -> tuple[Tensor, State]:
    """One step of LIF: x [N, *], state (v,) -> spikes [N, *], new (v,). Soft reset: v −= `v_subtract` if given."""
    check_dynamics(tau, v_threshold, v_reset, v_subtract)
    return reference.lif_step(
        x,
        prepare_state("LIF", x, state, v_reset),
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )


def lif_multi_step(
    x_seq: Tensor,
    state: State | None = None,
    tau: float = 2.0,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
    v_subtract: float | None = None,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """LIF over a sequence: x_seq [T, N, *], state (v,) -> spikes [T, N, *], (v,) after the last step."""
    check_dynamics(tau, v_threshold, v_reset, v_subtract)
    return dispatch.multi_step(
        "LIF",
        x_seq,
        prepare_state("LIF", first_step(x_seq), state, v_reset),
        backend,
        keep_state,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )


def plif_step(
    x: Tensor,
    state: State | None,
    w: Tensor,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
) -> tuple[Tensor, State]:
    """One step of PLIF, LIF with 1/τ = σ(w): x [N, *], state (v,), w a scalar tensor -> spikes [N, *], new (v,)."""
    check_dynamics(None, v_threshold, v_reset)
    return reference.plif_step(
        x,
        prepare_state("PLIF", x, state, v_reset),
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )


def plif_multi_step(
    x_seq: Tensor,
    state: State | None,
    w: Tensor,
    decay_input: bool = False,
    v_threshold: float = 1.0,
    v_reset: float | None = None,
    surrogate_function: SurrogateFunction = _RECTANGLE,
    detach_reset: bool = False,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """PLIF over a sequence: x_seq [T, N, *], state (v,), w a scalar tensor -> spikes [T, N, *], the last (v,)."""
    check_dynamics(None, v_threshold, v_reset)
    return dispatch.multi_step(
        "PLIF",
        x_seq,
        prepare_state("PLIF", first_step(x_seq), state, v_reset),
        backend,
        keep_state,
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )


def check_dynamics(
    tau: float | None, v_threshold: float, v_reset: float | None, v_subtract: float | None = None
) -> None:
    """Raise `InputError` for constants with which a neuron makes no sense; `tau=None` where it is learnt (PLIF)."""
    if tau is not None and not (math.isfinite(tau) and tau > 1):
        raise InputError(
            f"tau must be a finite number greater than 1 (tau = 1 would keep no memory at all), got {tau}; try tau=2.0"
        )
    if not math.isfinite(v_threshold):
        raise InputError(f"v_threshold must be a finite number, got {v_threshold}")
    if v_reset is not None and not -math.inf < v_reset < v_threshold:
        raise InputError(
            f"v_reset must be a finite number below v_threshold={v_threshold}, got {v_reset}; "
            "use v_reset=None for a soft reset"
        )
    if v_subtract is not None and v_reset is not None:
        raise InputError("v_subtract belongs to the soft reset; give either v_subtract or v_reset, not both")


def first_step(x_seq: Tensor) -> Tensor:
    """x_seq[0]; raises `InputError` where there is no time axis or no step."""
    if x_seq.dim() < 2 or len(x_seq) == 0:
        raise InputError(
            f"a sequence must have shape [T, N, *] with T ≥ 1, got {list(x_seq.shape)}; "
            'add the time axis, or use the single-step form (step_mode="s")'
        )
    return x_seq[0]


def prepare_state(neuron: str, x: Tensor, state: State | None, v_reset: float | None) -> State:
    """The state to start from for one step's input `x` [N, *], checked against it, in the dtype of computation."""
    if not x.is_floating_point():
        raise InputError(f"a neuron needs a floating-point input, got {x.dtype}; convert it with x.float()")
    names = STATE_NAMES[neuron]
    dtype = reference.compute_dtype(x.dtype)
    if state is None:
        rest = {"v": 0.0 if v_reset is None else v_reset, "m": 0.0}
        return tuple(x.new_full((), rest[name], dtype=dtype).expand(x.shape) for name in names)
    if len(state) != len(names):
        raise InputError(f"the state of {neuron} is ({', '.join(names)}), got {len(state)} tensors")
    for name, s in zip(names, state, strict=True):
        if s.shape != x.shape or s.device != x.device:
            raise InputError(
                f"the state {name} is {list(s.shape)} on {s.device} but the input {list(x.shape)} on {x.device}; "
                "reset before a new batch: clif.reset_net(net), node.reset() or state=None"
            )
    return tuple(s.to(dtype) for s in state)
