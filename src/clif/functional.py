"""The neurons as pure functions: they return the new state and keep nothing.

`*_step(x, state, ...)` computes one step: x [N, *] -> (spikes [N, *], new state).
`*_multi_step(x_seq, state=None, ..., backend="auto")` does a sequence: x_seq [T, N, *] -> (spikes [T, N, *], state).
With `keep_state=False` it returns () for the state, which is then not computed: that takes less time and memory.

The state is (v, m) for CLIF and (v,) for LIF and PLIF, tensors of shape [N, *]; `None` starts at rest, which is v = 0
(v = v_reset with a hard reset) and m = 0. Inputs may be of any floating dtype; float16 and bfloat16 are computed in
float32 and keep a float32 state. The equations are in `clif.ops.reference`.

A constant may be a tensor of one element. If it has a gradient it is learnt, which plain PyTorch computes: `backend`
"auto" takes "torch" for it, any other name is refused. (PLIF learns its time constant in every backend.)
`surrogate_function` may be a name or a class of `clif.surrogate`; a function must give spikes of 0 or 1.

All of them raise `InputError` for integer inputs, a missing time axis, a state of another shape or device, tau ≤ 1
(tau = 1 would forget everything in a single step, so it is refused too) and v_reset ≥ v_threshold.
"""

import math
from typing import Any

import torch
from torch import Tensor

from clif import private_torch, surrogate
from clif.errors import InputError
from clif.ops import dispatch, reference
from clif.ops.constants import CONSTANTS, Constant, as_constant, value_of
from clif.ops.kept import likely_cause, outside_inference
from clif.ops.reference import State, SurrogateFunction
from clif.ops.registration import is_transformed
from clif.surrogate import Rectangle, Surrogate

STATE_NAMES = {"CLIF": ("v", "m"), "LIF": ("v",), "PLIF": ("v",)}

AnySurrogate = SurrogateFunction | type[Surrogate] | str

REQUIRED = ("tau", "v_threshold")

_RECTANGLE = Rectangle()


def clif_step(
    x: Tensor,
    state: State | None,
    tau: Constant = 2.0,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
) -> tuple[Tensor, State]:
    """One step of CLIF (Huang et al., ICML 2024): x [N, *], state (v, m) -> spikes [N, *], new (v, m)."""
    dynamics = prepare_dynamics(
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _step("CLIF", x, state, dynamics)


def clif_multi_step(
    x_seq: Tensor,
    state: State | None = None,
    tau: Constant = 2.0,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """CLIF over a sequence: x_seq [T, N, *], state (v, m) -> spikes [T, N, *], (v, m) after the last step."""
    dynamics = prepare_dynamics(
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _multi_step("CLIF", x_seq, state, backend, keep_state, dynamics)


def lif_step(
    x: Tensor,
    state: State | None,
    tau: Constant = 2.0,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
    v_subtract: Constant | None = None,
) -> tuple[Tensor, State]:
    """One step of LIF: x [N, *], state (v,) -> spikes [N, *], new (v,). Soft reset: v −= `v_subtract` if given."""
    dynamics = prepare_dynamics(
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )
    return _step("LIF", x, state, dynamics)


def lif_multi_step(
    x_seq: Tensor,
    state: State | None = None,
    tau: Constant = 2.0,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
    v_subtract: Constant | None = None,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """LIF over a sequence: x_seq [T, N, *], state (v,) -> spikes [T, N, *], (v,) after the last step."""
    dynamics = prepare_dynamics(
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )
    return _multi_step("LIF", x_seq, state, backend, keep_state, dynamics)


def plif_step(
    x: Tensor,
    state: State | None,
    w: Tensor,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
) -> tuple[Tensor, State]:
    """One step of PLIF, LIF with 1/τ = σ(w): x [N, *], state (v,), w a scalar tensor -> spikes [N, *], new (v,)."""
    dynamics = prepare_dynamics(
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _step("PLIF", x, state, dynamics)


def plif_multi_step(
    x_seq: Tensor,
    state: State | None,
    w: Tensor,
    decay_input: bool = False,
    v_threshold: Constant = 1.0,
    v_reset: Constant | None = None,
    surrogate_function: AnySurrogate = _RECTANGLE,
    detach_reset: bool = False,
    backend: str = "auto",
    keep_state: bool = True,
) -> tuple[Tensor, State]:
    """PLIF over a sequence: x_seq [T, N, *], state (v,), w a scalar tensor -> spikes [T, N, *], the last (v,)."""
    dynamics = prepare_dynamics(
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _multi_step("PLIF", x_seq, state, backend, keep_state, dynamics)


def _step(neuron: str, x: Tensor, state: State | None, dynamics: dict[str, Any]) -> tuple[Tensor, State]:
    spike, after = reference.STEPS[neuron](x, prepare_state(neuron, x, state, dynamics["v_reset"]), **dynamics)
    _check_spikes(spike, x, dynamics["surrogate_function"])
    # The backward pass needs the spikes; the caller may change what it is given in place.
    return spike.clone() if spike.requires_grad else spike, after


def _multi_step(
    neuron: str, x_seq: Tensor, state: State | None, backend: str, keep_state: bool, dynamics: dict[str, Any]
) -> tuple[Tensor, State]:
    start = prepare_state(neuron, first_step(x_seq), state, dynamics["v_reset"])
    spike_seq, last = dispatch.multi_step(neuron, x_seq, start, backend, keep_state, **dynamics)
    _check_spikes(spike_seq, x_seq, dynamics["surrogate_function"])
    return spike_seq, last


def prepare_dynamics(**dynamics: Any) -> dict[str, Any]:
    """The arguments of a neuron as the backends take them; raises `InputError` as `check_dynamics` does.

    Constants become numbers, or tensors of shape [] if they are learnt; a surrogate's name or class becomes an object.
    """
    for name in CONSTANTS:
        value = dynamics.get(name, 0.0)
        if type(value) is not float and (value is not None or name in REQUIRED):
            dynamics[name] = as_constant(name, value)
    dynamics["surrogate_function"] = surrogate.resolve(dynamics["surrogate_function"])
    if "w" in dynamics:
        w = dynamics["w"]
        if not (isinstance(w, Tensor) and w.numel() == 1):
            shown = f"a tensor of shape {list(w.shape)}" if isinstance(w, Tensor) else repr(w)
            raise InputError(f"w of PLIF must be a tensor of one element for all neurons of a layer, got {shown}")
        dynamics["w"] = w.reshape(())
    _check_values(*(dynamics.get(name) for name in CONSTANTS))
    return dynamics


def check_dynamics(tau: Any, v_threshold: Any, v_reset: Any, v_subtract: Any = None) -> None:
    """Raise `InputError` for constants with which a neuron makes no sense; `tau=None` where it is learnt (PLIF)."""
    v_threshold = as_constant("v_threshold", v_threshold)
    given = zip(CONSTANTS, (tau, v_threshold, v_reset, v_subtract), strict=True)
    _check_values(*(None if value is None else as_constant(name, value) for name, value in given))


def _check_values(*constants: Constant | None) -> None:
    tau, v_threshold, v_reset, v_subtract = map(value_of, constants)
    if tau is not None and not (math.isfinite(tau) and tau > 1):
        learnt = "; PLIFNode learns a time constant that stays above 1" if isinstance(constants[0], Tensor) else ""
        raise InputError(
            f"tau must be a finite number greater than 1 (tau = 1 would keep no memory at all), got {tau}; try tau=2.0"
            + learnt
        )
    if v_threshold is not None and not math.isfinite(v_threshold):
        raise InputError(f"v_threshold must be a finite number, got {v_threshold}")
    if v_reset is not None and not -math.inf < v_reset < (math.inf if v_threshold is None else v_threshold):
        raise InputError(
            f"v_reset must be a finite number below v_threshold={v_threshold}, got {v_reset}; "
            "use v_reset=None for a soft reset"
        )
    if v_subtract is not None and not math.isfinite(v_subtract):
        raise InputError(f"v_subtract must be a finite number, got {v_subtract}")
    if constants[3] is not None and constants[2] is not None:
        raise InputError("v_subtract belongs to the soft reset; give either v_subtract or v_reset, not both")


def _check_spikes(spikes: Tensor, x: Tensor, surrogate_function: SurrogateFunction) -> None:
    """Raise `InputError` where a surrogate that is not of `clif.surrogate` does not give spikes, or no gradient."""
    if type(surrogate_function).__call__ is Surrogate.__call__ or torch.compiler.is_compiling():
        return
    if spikes.shape != x.shape:
        raise InputError(f"{_shown(surrogate_function)} gave {list(spikes.shape)} for {list(x.shape)}")
    if torch.is_grad_enabled() and x.requires_grad and not spikes.requires_grad:
        raise InputError(
            f"{_shown(surrogate_function)} gives no gradient; derive a class from clif.surrogate.Surrogate, which "
            "defines derivative(x), or compute under torch.no_grad()"
        )
    if torch.jit.is_tracing() or is_transformed() or private_torch.has_dispatch_mode() or spikes.is_meta:  # type: ignore[attr-defined]
        return
    values = spikes.detach()
    if not bool(((values == 0) | (values == 1)).all()):
        raise InputError(
            f"{_shown(surrogate_function)} gives other values than 0 and 1; a surrogate replaces the derivative of a "
            "spike only: use one of clif.surrogate, or derive a class from clif.surrogate.Surrogate"
        )


def _shown(surrogate_function: SurrogateFunction) -> str:
    name = getattr(surrogate_function, "__name__", None) or repr(surrogate_function)
    return f"surrogate_function={name}"


def first_step(x_seq: Tensor) -> Tensor:
    """x_seq[0]; raises `InputError` where there is no time axis or no step."""
    if x_seq.dim() < 2 or len(x_seq) == 0:
        raise InputError(
            f"a sequence must have shape [T, N, *] with T ≥ 1, got {list(x_seq.shape)}; "
            'add the time axis, or use the single-step form (step_mode="s")'
        )
    return x_seq[0]


def prepare_state(neuron: str, x: Tensor, state: State | None, v_reset: Constant | None) -> State:
    """The state to start from for one step's input `x` [N, *], checked against it, in the dtype of computation."""
    if not x.is_floating_point():
        raise InputError(f"a neuron needs a floating-point input, got {x.dtype}; convert it with x.float()")
    names = STATE_NAMES[neuron]
    dtype = reference.compute_dtype(x.dtype)
    if state is None:
        rest = {"v": 0.0 if v_reset is None else v_reset, "m": 0.0}
        return tuple(_filled(x, rest[name], dtype) for name in names)
    if len(state) != len(names):
        raise InputError(f"the state of {neuron} is ({', '.join(names)}), got {len(state)} tensors")
    for name, s in zip(names, state, strict=True):
        if s.shape != x.shape or s.device != x.device:
            raise InputError(
                f"the state {name} is {list(s.shape)} on {s.device} but the input {list(x.shape)} on {x.device}; "
                + likely_cause(s, x)
            )
    return tuple(outside_inference(s.to(dtype)) for s in state)


def _filled(x: Tensor, value: Constant, dtype: torch.dtype) -> Tensor:
    """One value for every element of `x`."""
    filled = value.to(x.device, dtype) if isinstance(value, Tensor) else x.new_full((), value, dtype=dtype)
    return filled.expand(x.shape)
