"""The neurons as pure functions, which return the new state and keep none.

- `*_step(x, state, ...)` computes one step: x [N, *] -> (spikes [N, *], new state).
- `*_multi_step(x_seq, state=None, ..., backend="auto")` computes a sequence: x_seq [T, N, *] -> (spikes [T, N, *],
  state). With `keep_state=False` it does not compute the last state and returns () for it, which saves time and memory.

The state is (v, m) for CLIF and (v,) for LIF and PLIF, tensors of shape [N, *]; `None` starts at rest, which is v = 0
(v = v_reset with a hard reset) and m = 0. Inputs may have any floating dtype; float16 and bfloat16 are computed in
float32 and have a float32 state. The equations are those of `clif.neurons`.

A constant may be a tensor of one element. If it requires a gradient, plain PyTorch computes the neuron: `backend`
"auto" then takes "torch", and any other name is refused. (PLIF learns its time constant in every backend.)
`surrogate_function` may be a name or a class of `clif.surrogate`; a function must return spikes of 0 or 1.

All functions raise `InputError` for integer inputs, a missing time axis, a state of another shape or device, tau ≤ 1
(tau = 1 has no memory) and v_reset ≥ v_threshold.
"""

from typing import Any

import torch
from torch import Tensor

from clif import surrogate
from clif.errors import InputError
from clif.generate.plan import plan
from clif.generate.trace import Signature
from clif.neurons.base import SpikingNeuron
from clif.neurons.clif import CLIFNode
from clif.neurons.firing import Firing
from clif.neurons.lif import LIFNode
from clif.neurons.plif import PLIFNode
from clif.neurons.sequence import Mode, compute, single_step
from clif.ops.constants import CONSTANTS, Constant, as_constant, check_constants
from clif.ops.equations import Equations, State, first_step
from clif.surrogate import AnySurrogate, Rectangle, Surrogate

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
    """One step of CLIF (Huang et al., ICML 2024): x [N, *], state (v, m) -> spikes [N, *], new (v, m).

    >>> x = torch.tensor([0.4, 1.2])
    >>> spikes, state = clif.functional.clif_step(x, None)
    >>> spikes
    tensor([0., 1.])
    """
    equations = _equations(
        CLIFNode,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return single_step(equations, x, state)


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
    """CLIF over a sequence: x_seq [T, N, *], state (v, m) -> spikes [T, N, *], (v, m) after the last step.

    >>> spikes, (v, m) = clif.functional.clif_multi_step(torch.full((4, 1, 1), 0.9))
    >>> spikes.flatten()
    tensor([0., 1., 0., 1.])
    """
    equations = _equations(
        CLIFNode,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _multi_step(equations, x_seq, state, backend, keep_state)


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
    """One step of LIF: x [N, *], state (v,) -> spikes [N, *], new (v,). Soft reset: v −= `v_subtract` if given.

    >>> x = torch.tensor([0.4, 1.2])
    >>> spikes, state = clif.functional.lif_step(x, None)
    >>> spikes
    tensor([0., 1.])
    """
    equations = _equations(
        LIFNode,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )
    return single_step(equations, x, state)


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
    """LIF over a sequence: x_seq [T, N, *], state (v,) -> spikes [T, N, *], (v,) after the last step.

    >>> spikes, (v,) = clif.functional.lif_multi_step(torch.full((4, 1, 1), 0.9))
    >>> spikes.flatten()
    tensor([0., 1., 1., 0.])
    """
    equations = _equations(
        LIFNode,
        tau=tau,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
        v_subtract=v_subtract,
    )
    return _multi_step(equations, x_seq, state, backend, keep_state)


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
    """One step of PLIF, LIF with 1/τ = σ(w): x [N, *], state (v,), w a scalar tensor -> spikes [N, *], new (v,).

    >>> w = torch.zeros((), requires_grad=True)  # 1/τ = σ(w), here 1/2
    >>> spikes, state = clif.functional.plif_step(torch.tensor([0.4, 1.2]), None, w)
    >>> spikes.tolist()
    [0.0, 1.0]
    """
    equations = _equations(
        PLIFNode,
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return single_step(equations, x, state)


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
    """PLIF over a sequence: x_seq [T, N, *], state (v,), w a scalar tensor -> spikes [T, N, *], the last (v,).

    >>> w = torch.zeros((), requires_grad=True)  # 1/τ = σ(w), here 1/2
    >>> spikes, (v,) = clif.functional.plif_multi_step(torch.full((4, 1, 1), 0.9), None, w)
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    equations = _equations(
        PLIFNode,
        w=w,
        decay_input=decay_input,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate_function=surrogate_function,
        detach_reset=detach_reset,
    )
    return _multi_step(equations, x_seq, state, backend, keep_state)


class _Constants(Firing):
    """The constants of a neuron as its step reads them, without the module."""

    def __init__(self, constants: dict[str, Any]) -> None:
        vars(self).update(constants)


MOST_KNOWN = 1000
_known: dict[Any, Equations] = {}


def _equations(kind: type[SpikingNeuron], **constants: Any) -> Equations:
    """The equations of a neuron with these constants and learnables; raises `InputError` as `check_constants` does."""
    own = type(constants["surrogate_function"]).__module__ == Surrogate.__module__
    if torch.compiler.is_compiling() or not own or any(isinstance(value, Tensor) for value in constants.values()):
        return _make_equations(kind, constants)
    key = (kind, kind.step, *constants.items())
    try:
        found = _known.get(key)
    except TypeError:  # a constant is not a number; `_make_equations` raises an error that names it
        return _make_equations(kind, constants)
    if found is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        found = _known[key] = _make_equations(kind, constants)
    return found


def _make_equations(kind: type[SpikingNeuron], constants: dict[str, Any]) -> Equations:
    learnables = {name: _learnable(kind, name, constants.pop(name)) for name in kind.learnable}
    for name in CONSTANTS:
        value = constants.get(name, 0.0)
        if type(value) is not float and (value is not None or name in REQUIRED):
            constants[name] = as_constant(name, value)
    fires = constants["surrogate_function"] = surrogate.resolve(constants["surrogate_function"])
    check_constants(*(constants.get(name) for name in CONSTANTS))
    states: dict[str, Any] = dict(kind.states)
    if constants["v_reset"] is not None:
        states["v"] = constants["v_reset"]
    plain = {name: value for name, value in constants.items() if not isinstance(value, Tensor)}
    if not isinstance(fires, Surrogate):
        del plain["surrogate_function"]
    rest = {name: value if isinstance(value, float) else 1.0 for name, value in states.items()}
    neuron = _Constants(constants)

    def step(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        return kind.step(neuron, x, *values)  # type: ignore[arg-type]

    return Equations(
        str(kind.neuron),
        step,
        states,
        learnables,
        frozenset(),
        plan(kind, plain, Signature(rest, kind.learnable)),
        None if isinstance(fires, Surrogate) else fires,
    )


def _learnable(kind: type[SpikingNeuron], name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value
    shown = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise InputError(f"{name} of {kind.neuron} must be a tensor of one element for all neurons of a layer, got {shown}")


def _multi_step(
    equations: Equations, x_seq: Tensor, state: State | None, backend: str, keep_state: bool
) -> tuple[Tensor, State]:
    first_step(x_seq)
    mode = Mode(equations.owner, backend, False, None, False)
    spike_seq, last, _ = compute(equations, mode, x_seq, state, keep_state)
    return spike_seq, last
