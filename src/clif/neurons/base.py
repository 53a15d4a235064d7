"""The base of all neurons: it holds the state and the step mode; `sequence.py` computes."""

import numbers
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.generate.trace import PLAIN
from clif.layers import BatchNorm2d
from clif.neurons import norm_fusion, sequence
from clif.neurons.firing import Firing
from clif.neurons.functional_state import FunctionalState, as_tensors
from clif.neurons.planning import OWN, STEP, check_declared, check_is_free, plan_of
from clif.neurons.recomputation import Calls, Values
from clif.neurons.sequence import Mode
from clif.ops import dispatch
from clif.ops.constants import Constant, as_constant, check_constants, value_of
from clif.ops.equations import Equations, State, first_step
from clif.ops.recomputing import in_backward, is_last, spikes_unread
from clif.ops.registration import is_exported
from clif.surrogate import AnySurrogate, Surrogate, resolve

COMPUTATION = STEP | {"forward", "single_step_forward", "multi_step_forward"}
"""Methods that a subclass of a neuron may override; no conversion replaces such a neuron."""

CHANGES_EVERY_CALL = frozenset(("_values", "_calls", "v_seq"))


class SpikingNeuron(Firing, FunctionalState):
    """Base of all neurons: a subclass declares its `states` and its `step`; clif derives everything else.

    Single-step mode ("s"): x [N, *] -> spikes [N, *]. Multi-step mode ("m"): x_seq [T, N, *] -> spikes [T, N, *]. Both
    continue from the state of the previous call until `reset()`. A state such as `v` is a number at rest and a tensor
    [N, *] after a call. It follows `.to()`, is copied detached by `copy.deepcopy` and `torch.save`, and is neither a
    parameter nor part of `state_dict`.

    Args:
        v_threshold: the neuron fires if v ≥ v_threshold.
        v_reset: None for a soft reset (subtraction), or the value that a hard reset sets; v starts there.
        surrogate_function: spikes with a surrogate derivative, see `clif.surrogate`; an object, a name or a class.
            Rectangle(α=1) by default.
        detach_reset: no gradient through the reset.
        step_mode: "s" or "m".
        backend: "auto", or a backend by name; see `clif.set_backend`.
        store_v_seq: in multi-step mode keep the membrane potential after each step in `v_seq` [T, N, *].

    A subclass defines

    - `states`: the states and their values at rest, {"v": 0.0} by default; "v" starts at `v_reset` if that is a number.
      It may be a property.
    - `learnable`: its parameters and how many numbers each has: "layer" (one) or "channel" ([C], axis 1 of x).
    - `step(self, x, …)`: takes the input, the states and the learnables by these names and in this order, and returns a
      tuple of the spike and the new states. It uses PyTorch's element-wise operations, `fire`, `reset_after` and plain
      attributes (numbers, bools, None, strings), on which it may branch. clif generates kernels from it. A step with
      other operations runs in PyTorch, and `clif.backend_for` says why.

    A constant may be an `nn.Parameter` of one element, also if you assign it later. It is then learnt, in plain PyTorch
    (backend "auto" or "torch"). `clif.neurons.set_gradient_window(net, k)` truncates the gradient through time in
    multi-step mode, and after `clif.set_keep_state(net, False)` every sequence begins at rest.

    Raises `InputError` for integer inputs, a missing time axis, a state of another shape or device, and constants out
    of range.

    >>> class HalfLeak(clif.SpikingNeuron):
    ...     states = {"v": 0.0}
    ...
    ...     def step(self, x, v):
    ...         u = v / 2 + x
    ...         spike = self.fire(u)
    ...         return spike, self.reset_after(u, spike)
    >>> HalfLeak(step_mode="m")(torch.full((4, 1, 1), 0.7)).flatten()
    tensor([0., 1., 0., 1.])
    """

    v_seq: Tensor | None
    states: Mapping[str, float] = {"v": 0.0}
    learnable: Mapping[str, str] = {}
    neuron: ClassVar[str | None] = None
    macs_per_step: ClassVar[float | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if former := sorted({"one_step", "many_steps", "dynamics"} & vars(cls).keys()):
            raise InputError(f"{cls.__name__} defines {former[0]}, which is never called; define step(self, x, v)")
        check_declared(cls, SpikingNeuron)

    def __init__(
        self,
        v_threshold: Constant = 1.0,
        v_reset: Constant | None = None,
        surrogate_function: AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(step_mode)
        self._values: Values = None
        self._calls = Calls()
        self.v_threshold = v_threshold
        self.v_reset = v_reset
        self.surrogate_function: Any = surrogate_function
        self.detach_reset = detach_reset
        self.backend = dispatch.check_backend(backend)
        self.store_v_seq = store_v_seq
        self.gradient_window: int | None = None
        self.fuse_norm = True
        self.keep_state = True
        self.channels_made_for: int | None = None
        as_constant("v_threshold", v_threshold)
        check_constants(None, v_threshold, v_reset)

    def step(self, x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        """One step: x and the states [N, *], the learnables -> the spike and the new states."""
        raise NotImplementedError(f"{type(self).__name__} must define step(self, x, {', '.join(self.states)})")

    def check(self) -> None:
        """Raise `InputError` if constants are out of range."""
        learnt = "v_threshold" in self.learnable
        check_constants(None, None if learnt else self.v_threshold, self.v_reset)

    def constants(self) -> dict[str, Any]:
        """The constants of the equations by name: numbers, switches, the surrogate, and learnt constants."""
        found = {name: value for name, value in vars(self).items() if self._is_constant(name, value)}
        learnt = {name: value for name, value in self._parameters.items() if name not in self.learnable}
        return {**found, **learnt}

    def _is_constant(self, name: str, value: Any) -> bool:
        if name in OWN or name == "training":
            return False
        plain = isinstance(value, (*PLAIN, numbers.Real)) or (isinstance(value, Tensor) and value.numel() == 1)
        return plain or name == "surrogate_function"

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(self.states)

    @property
    def state(self) -> State | None:
        """The state tensors, or None before the first call. Assigning None or () resets the neuron."""
        values = self._values
        if values is None:
            return None
        tensors = tuple([value for value in values if isinstance(value, Tensor)])
        return tensors if len(tensors) == len(values) else None

    @state.setter
    def state(self, state: State | None) -> None:
        self._values = tuple(state) if state else None

    @property
    def redefined(self) -> frozenset[str]:
        """The names in `COMPUTATION` that the object, or its class beyond a registered one, overrides."""
        found = COMPUTATION & vars(self).keys()
        for kind in type(self).__mro__:
            if "neuron" in vars(kind):
                break
            found |= COMPUTATION & vars(kind).keys()
        return frozenset(found)

    def __getattr__(self, name: str) -> Any:
        if name in vars(self).get("_names", ()):
            values = vars(self).get("_values")
            names = list(self.states)
            return self.rest_values()[name] if values is None else values[names.index(name)]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CHANGES_EVERY_CALL:
            object.__setattr__(self, name, value)  # nn.Module's __setattr__ looks for parameters and buffers
            return
        if not callable(value) or isinstance(value, Surrogate):
            check_is_free(name, type(self), SpikingNeuron)
        if name in vars(self).get("_names", ()):
            self._set_state(name, value)
            return
        given: Any = resolve(value) if name == "surrogate_function" else value
        super().__setattr__(name, given)
        if name not in OWN:
            vars(self).pop("_planned", None)
        if name == "store_v_seq":
            self.v_seq = None
        if "_values" in vars(self) and (name == "states" or "_names" not in vars(self)):
            # A property `states` may need attributes that __init__ has not set yet.
            with suppress(AttributeError):
                vars(self)["_names"] = tuple(self.states)

    def __delattr__(self, name: str) -> None:
        vars(self).pop("_planned", None)
        super().__delattr__(name)

    def _set_state(self, name: str, value: Any) -> None:
        rest = tuple(self.rest_values().values())
        present = self._values or rest
        values = tuple([value if known == name else old for known, old in zip(self.states, present, strict=True)])
        self._values = None if not any(isinstance(v, Tensor) for v in values) and values == rest else values
        if in_backward():  # a recomputed call starts from the state that was set
            self._calls = self._calls.reset()

    def rest_values(self) -> dict[str, Any]:
        """The states at rest by name; 0 for one that cannot be read now, such as v_reset under torch.compile."""
        return {name: value_of(value) or 0.0 for name, value in self._rest().items()}

    def _rest(self) -> dict[str, Constant]:
        values: dict[str, Constant] = dict(self.states)
        if self.v_reset is not None and "v" in values:
            values["v"] = as_constant("v_reset", self.v_reset)
        return values

    def reset(self) -> None:
        """Reset the states: v = 0 (v_reset with a hard reset), the others as in `states`, and no `v_seq`."""
        self._values = None
        self.v_seq = None
        self._calls = self._calls.reset()

    @property
    def memory(self) -> dict[str, Any]:
        return {**super().memory, **{name: getattr(self, name) for name in ("_values", "_calls", "v_seq")}}

    @property
    def is_exclusive(self) -> bool:
        """Whether sequences begin from the state of the last call, or are computed by a class's own methods."""
        return self.keep_state or self.overrides("single_step_forward") or self.overrides("multi_step_forward")

    def detach(self) -> None:
        """Cut the graph at the present state (truncated back-propagation through time)."""
        self._calls = self._calls.ended()
        if self._values is not None:
            self._values = tuple([v.detach() if isinstance(v, Tensor) else v for v in self._values])

    def equations(self) -> Equations:
        """The equations of the neuron with its present constants and parameters."""
        self.check()
        states = self._rest()
        return Equations(
            self.neuron if self.neuron is not None and not self.redefined else type(self).__name__,
            self.step,
            states,
            {name: self._parameter(name) for name in self.learnable},
            frozenset([name for name, of in self.learnable.items() if of == "channel"]),
            plan_of(self, SpikingNeuron, states, self.learnable),
            None if isinstance(self.surrogate_function, Surrogate) else self.surrogate_function,
        )

    def _parameter(self, name: str) -> Tensor:
        value = getattr(self, name, None)
        if not isinstance(value, Tensor):
            raise InputError(
                f"{type(self).__name__} declares {name!r} as learnable but has no parameter of that name; set "
                f"self.{name} = torch.nn.Parameter(...) in __init__"
            )
        return value

    def forward(self, x: Tensor, norm: BatchNorm2d | None = None) -> Tensor:
        """Spikes for x, or for norm(x) if a batch norm is given; one kernel computes both if the backend has one."""
        if torch.compiler.is_compiling():
            return self._compute(x, norm)
        if self._calls.are_recomputed:
            return self._recompute(x, norm)
        self._calls = self._calls.counted(self._values)
        if is_last(self) and not self._has_window(x):
            with spikes_unread():
                return self._compute(x, norm)
        return self._compute(x, norm)

    def _has_window(self, x: Tensor) -> bool:
        """Whether the gradient through `x` is truncated; the windows begin from states that kernels must compute."""
        return self.step_mode == "m" and self.sequence_mode().window(len(x)) is not None

    def _recompute(self, x: Tensor, norm: BatchNorm2d | None) -> Tensor:
        """Repeat a call for activation checkpointing, from its start state and without changing the present one."""
        self._calls.check(self)
        present, v_seq = self._values, self.v_seq
        try:
            self._values = self._calls.start
            return self._compute(x, norm)
        finally:
            self._values, self.v_seq = present, v_seq

    def _compute(self, x: Tensor, norm: BatchNorm2d | None) -> Tensor:
        if norm is not None:
            if self._may_fuse(x) and norm_fusion.applies(equations := self.equations(), x, norm, self.backend):
                start = self.start_state(x[0]) if self.keep_state else None
                spike_seq, last = norm_fusion.compute(equations, x, norm, start, self.backend, self._needs_last_state())
                self._remember(last)
                return spike_seq
            x = norm(x)
        return self.multi_step_forward(x) if self.step_mode == "m" else self.single_step_forward(x)

    def _may_fuse(self, x: Tensor) -> bool:
        own = self.overrides("single_step_forward") or self.overrides("multi_step_forward")
        return self.fuse_norm and self.step_mode == "m" and not own and self.sequence_mode().route(len(x)) == "backend"

    def overrides(self, name: str) -> bool:
        """Whether the class or the object overrides a method of `SpikingNeuron`."""
        return name in vars(self) or getattr(type(self), name) is not getattr(SpikingNeuron, name)

    def sequence_mode(self) -> Mode:
        """The options by which the neuron computes sequences."""
        return Mode(
            type(self).__name__,
            self.backend,
            self.store_v_seq,
            self.gradient_window,
            self.overrides("single_step_forward"),
        )

    def single_step_forward(self, x: Tensor) -> Tensor:
        """The spikes of one step, x [N, *]."""
        if is_exported() and self._values is None:
            raise InputError(
                "a graph of a single step would start at rest at every call; export whole sequences "
                '(clif.set_step_mode(net, "m")), or a network of clif.models by clif.export.to_onnx(net, path, "step")'
            )
        spike, self._values = sequence.single_step(self.equations(), x, self.start_state(x))
        return spike

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        """The spikes of a sequence, x_seq [T, N, *]."""
        first, mode = first_step(x_seq), self.sequence_mode()
        if mode.route(len(x_seq)) == "own steps":
            if not self.keep_state:
                self._values = None
            result = sequence.own_steps(self.single_step_forward, lambda: self.v, mode, x_seq)
            last = self.state or ()
        else:
            start = self.start_state(first) if self.keep_state else None
            result = sequence.compute(self.equations(), mode, x_seq, start, self._needs_last_state())
            last = result.last
        if self.store_v_seq:
            self.v_seq = result.v_seq
        self._remember(last)
        return result.spike_seq

    def start_state(self, x: Tensor) -> State | None:
        """The state before the step's input `x`, None at rest; a number counts for every element of `x`."""
        return None if self._values is None else as_tensors(self._values, x)

    def _needs_last_state(self) -> bool:
        """Whether the neuron computes the state after a sequence, for the next one or to be read outside training."""
        return self.keep_state or not torch.is_grad_enabled()

    def _remember(self, last: State) -> None:
        self._values = (last or None) if self._needs_last_state() else None

    def extra_repr(self) -> str:
        shown = {**self.constants(), "step_mode": self.step_mode, "backend": self.backend}
        return ", ".join(f"{key}={value}" for key, value in shown.items() if not isinstance(value, nn.Parameter))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SpikingNeuron":
        super()._apply(fn, recurse)
        if self._values is not None:
            self._values = tuple([fn(v) if isinstance(v, Tensor) else v for v in self._values])
        if self.v_seq is not None:
            self.v_seq = torch.stack([fn(v) for v in self.v_seq])
        return self

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: _detached(value) for name, value in self.__dict__.items()}
        kept.pop("_planned", None)
        return {**kept, "_calls": Calls()}


def _detached(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_detached(part) for part in value])
    return value.detach() if isinstance(value, Tensor) else value
