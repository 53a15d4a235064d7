"""The computation of a sequence by a neuron: chooses the route and refuses incompatible options."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from clif import private_torch
from clif.errors import InputError
from clif.neurons.gradient_window import check_window, truncated_by_sequences, truncated_by_steps
from clif.ops import dispatch
from clif.ops.equations import Equations, State, compute_dtype, stack_steps
from clif.ops.kept import apart
from clif.ops.registration import is_transformed

Route = Literal["backend", "steps", "window", "own steps"]


class Mode(NamedTuple):
    """The options of a neuron for a sequence, besides its equations."""

    owner: str
    backend: str
    store_v_seq: bool
    gradient_window: int | None
    has_own_steps: bool  # the class overrides single steps but not sequences

    def window(self, T: int) -> int | None:
        """The number of steps to which the gradient over T steps is truncated, or None."""
        if self.gradient_window is None or not torch.is_grad_enabled():
            return None
        return self.gradient_window if check_window(self.gradient_window) < T else None

    def route(self, T: int) -> Route:
        """The route for a sequence of T steps. Raises `InputError` for incompatible options."""
        window = self.window(T)
        if self.has_own_steps:
            if window is not None:
                raise InputError(
                    f"a gradient window needs the step of {self.owner} as a function, but it defines "
                    "single_step_forward: define step(self, x, v) instead"
                )
            self._needs_steps(self.owner)
            return "own steps"
        if self.store_v_seq:
            self._needs_steps("store_v_seq=True")
            return "steps"
        return "backend" if window is None else "window"

    def _needs_steps(self, what: str) -> None:
        if self.backend not in ("auto", "torch"):
            raise InputError(f'{what} needs backend "auto" or "torch", not {self.backend!r}')


class Result(NamedTuple):
    """The spikes [T, N, *], the last state (empty if not needed), and v of every step [T, N, *] if needed."""

    spike_seq: Tensor
    last: State
    v_seq: Tensor | None


def compute(equations: Equations, mode: Mode, x_seq: Tensor, start: State | None, keep_state: bool) -> Result:
    """A sequence x_seq [T, N, *] from the state `start`, None at rest, by the route of `mode`."""
    state = equations.start(x_seq[0], start)
    window = mode.window(len(x_seq))
    if window is not None:
        result = _truncated(equations, mode, x_seq, state, window)
    elif mode.store_v_seq:
        result = _by_steps(equations, mode, x_seq, state)
    else:
        result = Result(*dispatch.multi_step(equations, x_seq, state, mode.backend, keep_state), None)
    check_spikes(equations, result.spike_seq, x_seq)
    return result


def single_step(equations: Equations, x: Tensor, start: State | None) -> tuple[Tensor, State]:
    """One step x [N, *] from the state `start`, None at rest: the spikes and the new state."""
    spike, after = equations.one_step(x)(x, equations.start(x, start))
    check_spikes(equations, spike, x)
    # The backward pass needs the spikes, and the caller may change its copy in place.
    spike = spike.clone() if spike.requires_grad else spike
    return spike, tuple([apart(value, x, spike) for value in after])


def own_steps(step: Callable[[Tensor], Tensor], v: Callable[[], Any], mode: Mode, x_seq: Tensor) -> Result:
    """A sequence by a class's own single steps; `v()` is the potential after a step. The class keeps the state."""
    spikes, voltages = [], []
    for x in x_seq.unbind(0):
        spikes.append(step(x))
        if mode.store_v_seq:
            value = v()
            dtype = compute_dtype(x.dtype)
            voltages.append(value if isinstance(value, Tensor) else torch.full_like(x, value, dtype=dtype))
    return Result(stack_steps(spikes), (), stack_steps(voltages) if voltages else None)


def _truncated(equations: Equations, mode: Mode, x_seq: Tensor, state: State, window: int) -> Result:
    if mode.store_v_seq or not dispatch.has_kernels(x_seq, mode.backend, equations):
        step, element_wise = equations.one_step(x_seq[0]), equations.plan.refusal is None
        spike_seq, states = truncated_by_steps(step, x_seq, state, window, element_wise)
        return Result(spike_seq, tuple([part[-1] for part in states]), _v_of(equations, states, mode))

    multi_step = partial(dispatch.multi_step, equations, backend=mode.backend, keep_state=True)
    return Result(*truncated_by_sequences(multi_step, x_seq, state, window), None)


def _by_steps(equations: Equations, mode: Mode, x_seq: Tensor, state: State) -> Result:
    one_step = equations.one_step(x_seq[0])
    spikes, voltages = [], []
    for x in x_seq.unbind(0):
        spike, state = one_step(x, state)
        spikes.append(spike)
        voltages.append(_v_of(equations, state, mode))
    last = tuple([apart(value, x_seq) for value in state])
    return Result(stack_steps(spikes), last, stack_steps([v for v in voltages if v is not None]))


def _v_of(equations: Equations, state: State, mode: Mode) -> Tensor | None:
    if not mode.store_v_seq:
        return None
    if "v" not in equations.states:
        raise InputError(f"store_v_seq keeps the state v, and {equations.owner} has {', '.join(equations.states)}")
    return state[list(equations.states).index("v")]


def check_spikes(equations: Equations, spikes: Tensor, x: Tensor) -> None:
    """Raise `InputError` if a surrogate that is not of `clif.surrogate` gives no spikes, or no gradient."""
    surrogate = equations.surrogate
    if surrogate is None or torch.compiler.is_compiling():
        return
    shown = f"surrogate_function={getattr(surrogate, '__name__', None) or repr(surrogate)}"
    if torch.is_grad_enabled() and x.requires_grad and not spikes.requires_grad:
        raise InputError(
            f"{shown} has no gradient; derive a class from clif.surrogate.Surrogate, which defines derivative(x), or "
            "compute under torch.no_grad()"
        )
    if torch.jit.is_tracing() or is_transformed() or private_torch.has_dispatch_mode() or spikes.is_meta:  # type: ignore[attr-defined]
        return
    values = spikes.detach()
    if not bool(((values == 0) | (values == 1)).all()):
        raise InputError(
            f"{shown} returns values other than 0 and 1; a surrogate replaces only the derivative of a spike: use one "
            "of clif.surrogate, or derive a class from clif.surrogate.Surrogate"
        )
