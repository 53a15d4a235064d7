"""The equations of a layer of neurons, as every backend takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clif.errors import InputError
from clif.generate.plan import Plan
from clif.ops.constants import Constant
from clif.ops.kept import likely_cause, usable

State = tuple[Tensor, ...]
OneStep = Callable[[Tensor, State], tuple[Tensor, State]]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a neuron computes and keeps its state, for inputs of `dtype`."""
    return torch.float64 if dtype == torch.float64 else torch.float32


@dataclass(frozen=True)
class Equations:
    """The equations of a layer of neurons.

    `step(x, *states, *learnables)` returns the spike and the new states; `states` are their values at rest by name.
    `learnables` are parameters by name, of one element, or of one for every channel if the name is in `by_channel`.
    `plan` says how kernels compute the step. `surrogate` is the surrogate if it is not of `clif.surrogate`.
    """

    owner: str
    step: Callable[..., Any]
    states: Mapping[str, Constant]
    learnables: Mapping[str, Tensor]
    by_channel: frozenset[str]
    plan: Plan
    surrogate: Any = None

    def start(self, x: Tensor, state: State | None) -> State:
        """The state to start from for a step's input `x` [N, *], checked against it, in the dtype of computation.

        None is the state at rest.
        """
        if not x.is_floating_point():
            raise InputError(f"a neuron needs a floating-point input, got {x.dtype}; convert it with x.float()")
        dtype = compute_dtype(x.dtype)
        if state is None:
            return _at_rest(x, tuple(self.states.values()), dtype)
        if len(state) != len(self.states):
            raise InputError(f"the state of {self.owner} is ({', '.join(self.states)}), got {len(state)} tensors")
        for name, s in zip(self.states, state, strict=True):
            if not isinstance(s, Tensor):
                raise InputError(
                    f"the state {name} of {self.owner} must be a tensor of the shape {list(x.shape)}, got {s!r}; pass "
                    "None as the whole state to start at rest"
                )
            if s.shape != x.shape or s.device != x.device:
                raise InputError(
                    f"the state {name} is {list(s.shape)} on {s.device} but the input {list(x.shape)} on {x.device}; "
                    + likely_cause(s, x)
                )
        return tuple(usable(s.to(dtype)) for s in state)

    def coefficients(self, x: Tensor) -> list[Tensor]:
        """The learnables for a step's input `x` [N, C, *]: [] or [C], in the dtype of computation."""
        return [self._coefficient(name, value, x) for name, value in self.learnables.items()]

    def _coefficient(self, name: str, value: Tensor, x: Tensor) -> Tensor:
        value = value.to(compute_dtype(x.dtype))
        if name not in self.by_channel:
            if value.numel() != 1:
                raise InputError(
                    f"{name} of {self.owner} must be a tensor of one element for all neurons of a layer, got one of "
                    f"shape {list(value.shape)}"
                )
            return value.reshape(())
        if x.dim() < 2 or value.dim() != 1 or len(value) != x.shape[1]:
            raise InputError(
                f"{name} of {self.owner} has one element for every channel, {list(value.shape)}, but the input of a "
                f"step is {list(x.shape)}, [N, C, *]; create the neuron with the channels of its input"
            )
        return value

    def one_step(self, x: Tensor) -> OneStep:
        """A step in PyTorch, as a function of the input and the state, for inputs like `x` [N, *]."""
        dtype = compute_dtype(x.dtype)
        coefficients = [
            value.view(-1, *(1 for _ in x.shape[2:])) if name in self.by_channel else value
            for name, value in zip(self.learnables, self.coefficients(x), strict=True)
        ]

        def one_step(x: Any, state: Any) -> Any:  # torch.compile breaks its graph at annotations such as State
            outputs = self.step(x.to(dtype), *state, *coefficients)
            if not isinstance(outputs, tuple) or len(outputs) != 1 + len(self.states):
                raise InputError(
                    f"step of {self.owner} must return a tuple of the spike and the new states: "
                    f"spike, {', '.join(self.states)}"
                )
            for name, value in zip(("the spike", *self.states), outputs, strict=True):
                if not isinstance(value, Tensor):
                    raise InputError(f"step of {self.owner} returned {value!r} for {name}; it must return tensors")
            spike, *after = outputs
            if spike.shape != x.shape:
                raise InputError(
                    f"step of {self.owner} returned {list(spike.shape)} for the spike of an input {list(x.shape)}; it, "
                    "and its surrogate_function, must return one number for each element of the input"
                )
            return spike.to(x.dtype), tuple(value.to(dtype) for value in after)

        return one_step


def _at_rest(x: Tensor, values: tuple[Constant, ...], dtype: torch.dtype) -> State:
    first = _filled(x, values[0], dtype) if values else x
    same = [isinstance(value, float) and value == values[0] for value in values]
    return tuple([first if i == 0 or same[i] else _filled(x, value, dtype) for i, value in enumerate(values)])


def _filled(x: Tensor, value: Constant, dtype: torch.dtype) -> Tensor:
    """One value for every element of `x`."""
    filled = value.to(x.device, dtype).reshape(()) if isinstance(value, Tensor) else x.new_full((), value, dtype=dtype)
    return filled.expand(x.shape)


def first_step(x_seq: Tensor) -> Tensor:
    """x_seq[0]; raises `InputError` if there is no time axis or no step."""
    if x_seq.dim() < 2 or len(x_seq) == 0:
        raise InputError(
            f"a sequence must have shape [T, N, *] with T ≥ 1, got {list(x_seq.shape)}; "
            'add the time axis, or use the single-step form (step_mode="s")'
        )
    return x_seq[0]


def stack_steps(steps: list[Tensor]) -> Tensor:
    """T tensors [N, *] -> [T, N, *], in the memory layout of the steps (channels_last stays channels_last)."""
    return torch.cat(steps).unflatten(0, (len(steps), steps[0].shape[0]))
