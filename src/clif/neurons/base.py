"""What all neuron modules share: they own the state and the step mode; the computing is in `clif.functional`."""

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clif import functional, private_torch
from clif.errors import InputError
from clif.layers import BatchNorm2d, StepModule, has_hooks, is_repeated
from clif.neurons.gradient_window import check_window, truncated_multi_step
from clif.ops import dispatch
from clif.ops.constants import Constant, as_constant, value_of
from clif.ops.reference import State, compute_dtype, stack_steps
from clif.ops.registration import is_exported
from clif.surrogate import resolve

COMPUTATION = frozenset(
    ("forward", "dynamics", "single_step_forward", "multi_step_forward", "one_step", "many_steps", "neuron")
)
"""What a subclass may define anew, in whole or in part; no kernel and no conversion takes its place then."""


class SpikingNeuron(StepModule):
    """Base of CLIFNode, LIFNode and PLIFNode.

    Single-step mode ("s"): x [N, *] -> spikes [N, *]. Multi-step mode ("m"): x_seq [T, N, *] -> spikes [T, N, *].
    Both continue from the state of the call before, until `reset()`. The state `v` (and `m`) is a float at rest and a
    tensor [N, *] after a call. It follows `.to()`, is copied detached by `copy.deepcopy` and `torch.save`, and is
    neither a parameter nor part of `state_dict`.

    Args:
        decay_input: divide the input by τ as well.
        v_threshold: the neuron fires where v ≥ v_threshold.
        v_reset: None for a soft reset (subtraction), or the value that a hard reset sets; v starts there.
        surrogate_function: spikes with a surrogate derivative, see `clif.surrogate`; an object, a name or a class.
            Rectangle(α=1) by default.
        detach_reset: no gradient through the reset.
        step_mode: "s" or "m".
        backend: "auto", or a backend by name; see `clif.set_backend`.
        store_v_seq: in multi-step mode keep the membrane potential after each step in `v_seq` [T, N, *].

    `clif.neurons.set_gradient_window(net, k)` truncates the gradient through time in multi-step mode, and after
    `clif.set_keep_state(net, False)` every sequence begins at rest.

    `tau`, `v_threshold`, `v_reset` and `v_subtract` may be `nn.Parameter`s of one element, also when they are assigned
    later. They are learnt, in plain PyTorch (backend "auto" or "torch").

    A subclass may define `one_step(x, state, **dynamics)` (a staticmethod), `single_step_forward(x)` or
    `multi_step_forward(x_seq)` anew. What it leaves out follows: a sequence is then computed step by step.

    Raises `InputError` as `clif.functional` does.
    """

    neuron: ClassVar[str]
    v: Tensor | float
    m: Tensor | float
    one_step: ClassVar[Callable[..., tuple[Tensor, State]]]
    many_steps: ClassVar[Callable[..., tuple[Tensor, State]]]
    _redefined: ClassVar[frozenset[str]] = frozenset()
    _rest_values: tuple[float, ...] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if not cls.__module__.startswith("clif.neurons."):
            cls._redefined = cls._redefined | (COMPUTATION & vars(cls).keys())

    def __init__(
        self,
        decay_input: bool = False,
        v_threshold: Constant = 1.0,
        v_reset: Constant | None = None,
        surrogate_function: functional.AnySurrogate | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str = "auto",
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(step_mode)
        self.decay_input = decay_input
        self.v_threshold = v_threshold
        self.v_reset = v_reset
        self.surrogate_function = resolve(surrogate_function)
        self.detach_reset = detach_reset
        self.backend = dispatch.check_backend(backend)
        self.store_v_seq = store_v_seq
        self.gradient_window: int | None = None
        self.fuse_norm = True
        self.keep_state = True
        self._calls = 0
        self._first_start: tuple[Tensor | float, ...] = ()
        self.reset()

    def dynamics(self) -> dict[str, Any]:
        """The keyword arguments of this neuron's functions in `clif.functional`."""
        return {
            "decay_input": self.decay_input,
            "v_threshold": self.v_threshold,
            "v_reset": self.v_reset,
            "surrogate_function": self.surrogate_function,
            "detach_reset": self.detach_reset,
        }

    @property
    def state_names(self) -> tuple[str, ...]:
        return functional.STATE_NAMES[self.neuron]

    @property
    def state(self) -> State | None:
        """The state tensors, or None where there are none yet. Assigning None or () brings the neuron back to rest."""
        values = tuple(value for value in self._values() if isinstance(value, Tensor))
        return values if len(values) == len(self.state_names) else None

    @state.setter
    def state(self, state: State | None) -> None:
        if not state:
            self._rest_values = tuple(self._rest(name) for name in self.state_names)
        self._set_values(state or self._rest_values)

    @property
    def redefined(self) -> frozenset[str]:
        """The names in `COMPUTATION` that the class or the object defines otherwise than clif's own neurons."""
        return self._redefined | (COMPUTATION & vars(self).keys())

    def _values(self) -> tuple[Tensor | float, ...]:
        """The state as it is, numbers included."""
        return tuple(getattr(self, name) for name in self.state_names)

    def _set_values(self, values: tuple[Tensor | float, ...]) -> None:
        for name, value in zip(self.state_names, values, strict=True):
            setattr(self, name, value)

    def reset(self) -> None:
        """Back to rest: v = 0 (v_reset with a hard reset), m = 0, and no `v_seq`."""
        self.state = None
        self.v_seq: Tensor | None = None
        self._calls_anew = True
        self._reset_in_backward = _in_backward()

    def _rest(self, name: str) -> float:
        if name != "v" or self.v_reset is None:
            return 0.0
        return value_of(as_constant("v_reset", self.v_reset)) or 0.0

    def _is_at_rest(self) -> bool:
        """Whether nothing was computed or set since the last reset; v then starts at the present v_reset."""
        values = self._values()
        if len(self._rest_values) == len(values) and all(map(operator.is_, values, self._rest_values)):
            return True
        return all(
            not isinstance(value, Tensor) and value == self._rest(name)
            for name, value in zip(self.state_names, values, strict=True)
        )

    def _start(self, x: Tensor) -> State | None:
        """The state before the step's input `x`; one that was set as a number holds for every element of `x`."""
        if self._is_at_rest():
            return None
        dtype = compute_dtype(x.dtype)
        return tuple(v if isinstance(v, Tensor) else torch.full_like(x, v, dtype=dtype) for v in self._values())

    def _start_of_sequence(self, x_seq: Tensor) -> State | None:
        first = functional.first_step(x_seq)
        return self._start(first) if self.keep_state else None

    @property
    def memory(self) -> dict[str, Any]:
        names = (*self.state_names, "v_seq", "_rest_values", "_calls", "_calls_anew", "_first_start")
        return {**super().memory, **{name: getattr(self, name) for name in (*names, "_reset_in_backward")}}

    def detach(self) -> None:
        """Cut the graph at the present state (truncated back-propagation through time)."""
        self._calls_anew = True
        if self.state is not None:
            self.state = tuple(s.detach() for s in self.state)

    def forward(self, x: Tensor, norm: BatchNorm2d | None = None) -> Tensor:
        """Spikes for x, or for norm(x) where a batch norm is given; the two are one kernel where a backend has it."""
        if _in_backward() and not self._reset_in_backward:
            return self._recompute(x, norm)
        if not torch.compiler.is_compiling():
            self._count_call()
        return self._compute(x, norm)

    def _compute(self, x: Tensor, norm: BatchNorm2d | None) -> Tensor:
        if norm is not None:
            if self._fuses(x, norm):
                return self._normalise_and_fire(x, norm)
            x = norm(x)
        return self.multi_step_forward(x) if self.step_mode == "m" else self.single_step_forward(x)

    def _fuses(self, x: Tensor, norm: BatchNorm2d) -> bool:
        """Whether norm and neuron are one kernel: not where someone listens between them or wants every v."""
        return (
            self.fuse_norm
            and self.step_mode == "m"
            and not self.store_v_seq
            and not self.redefined
            and self._window(len(x)) is None
            and type(norm) is BatchNorm2d
            and not has_hooks(norm)
            and x.dim() == 5
            and len(x) > 0
            and not is_repeated(x)
            and dispatch.fuses_norm(x, norm.for_kernels(), self.backend, self._prepared())
        )

    def _prepared(self) -> dict[str, Any]:
        return functional.prepare_dynamics(**self.dynamics())

    def _window(self, T: int) -> int | None:
        """To how many steps the gradient over T steps is truncated, or None."""
        if self.gradient_window is None or not torch.is_grad_enabled():
            return None
        return self.gradient_window if check_window(self.gradient_window) < T else None

    def _needs_last_state(self) -> bool:
        """Whether the state after a sequence is computed: for the next one, or to be looked at outside training."""
        return self.keep_state or not torch.is_grad_enabled()

    def _remember(self, last: State | None) -> None:
        self.state = last if self._needs_last_state() else None

    def _normalise_and_fire(self, x_seq: Tensor, norm: BatchNorm2d) -> Tensor:
        dynamics = self._prepared()
        start = functional.prepare_state(self.neuron, x_seq[0], self._start_of_sequence(x_seq), dynamics["v_reset"])
        spike_seq, self.state, mean, var = dispatch.norm_multi_step(
            self.neuron, x_seq, norm.for_kernels(), start, self.backend, self._needs_last_state(), **dynamics
        )
        if norm.training:
            norm.observe(mean, var, x_seq[0].numel() // x_seq.shape[2])
        return spike_seq

    def _count_call(self) -> None:
        """Remember the state before the first call since a reset, for `_recompute`."""
        self._reset_in_backward = _in_backward()
        self._calls = 1 if self._calls_anew else self._calls + 1
        self._calls_anew = False
        self._first_start = self._values() if self._calls == 1 else ()

    def _recompute(self, x: Tensor, norm: BatchNorm2d | None) -> Tensor:
        """The call again, for activation checkpointing: from the state it began with, and leaving the present one."""
        if self._calls != 1:
            raise InputError(
                f"activation checkpointing computes a {type(self).__name__} again that was called {self._calls} times "
                "since its last reset; which call is meant is unknown: call clif.reset_net inside the checkpointed "
                "function, or checkpoint whole sequences"
            )
        present, v_seq = self._values(), self.v_seq
        try:
            self._set_values(self._first_start)
            return self._compute(x, norm)
        finally:
            self._set_values(present)
            self.v_seq = v_seq

    def single_step_forward(self, x: Tensor) -> Tensor:
        if is_exported() and self._is_at_rest():
            raise InputError(
                "a graph of a single step would begin at rest at every call; export whole sequences "
                '(clif.set_step_mode(net, "m")), or a network of clif.models by clif.export.to_onnx(net, path, "step")'
            )
        if "many_steps" in self.redefined and "one_step" not in self.redefined:
            spike_seq, self.state = self.many_steps(
                x[None], self._start(x), backend=self.backend, keep_state=True, **self.dynamics()
            )
            return spike_seq[0]
        spike, self.state = self.one_step(x, self._start(x), **self.dynamics())
        return spike

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        redefined = self.redefined
        start, window = self._start_of_sequence(x_seq), self._window(len(x_seq))
        stepwise = "single_step_forward" in redefined
        by_steps = "one_step" in redefined and "many_steps" not in redefined
        if window is not None or self.store_v_seq or stepwise or by_steps:
            self._check_stepwise(stepwise or by_steps, window)
        if stepwise:
            return self._forward_stepwise(x_seq)
        if window is not None:
            return self._forward_truncated(x_seq, start, window)
        if self.store_v_seq or by_steps:
            return self._forward_by_steps(x_seq, start)
        spike_seq, self.state = self.many_steps(
            x_seq, start, backend=self.backend, keep_state=self._needs_last_state(), **self.dynamics()
        )
        return spike_seq

    def _check_stepwise(self, redefines: bool, window: int | None) -> None:
        """Raise `InputError` where a sequence cannot be computed in single steps of plain PyTorch."""
        redefined = self.redefined
        name = type(self).__name__
        if window is not None and "single_step_forward" in redefined:
            raise InputError(
                f"a gradient window needs the step of {name} as a function: define one_step, a staticmethod"
            )
        if "many_steps" in redefined and not {"one_step", "single_step_forward"} & redefined:
            raise InputError(f"{name} defines many_steps alone; store_v_seq and gradient windows need its one_step too")
        if self.backend not in ("auto", "torch"):
            why = name if redefines else "store_v_seq=True" if self.store_v_seq else "a gradient window"
            raise InputError(f'{why} needs backend "auto" or "torch", not {self.backend!r}')

    def _forward_truncated(self, x_seq: Tensor, start: State | None, window: int) -> Tensor:
        start = functional.prepare_state(self.neuron, x_seq[0], start, self._prepared()["v_reset"])
        spike_seq, states = truncated_multi_step(self.one_step, x_seq, start, window, **self.dynamics())
        self._remember(tuple(part[-1] for part in states))
        if self.store_v_seq:
            self.v_seq = states[0]
        return spike_seq

    def _forward_by_steps(self, x_seq: Tensor, state: State | None) -> Tensor:
        spikes, voltages = [], []
        for x in x_seq.unbind(0):
            spike, state = self.one_step(x, state, **self.dynamics())
            spikes.append(spike)
            voltages.append(state[0])
        self._remember(state)
        if self.store_v_seq:
            self.v_seq = stack_steps(voltages)
        return stack_steps(spikes)

    def _forward_stepwise(self, x_seq: Tensor) -> Tensor:
        """A sequence by a subclass's own single steps."""
        if not self.keep_state:
            self.state = None
        spikes, voltages = [], []
        for x in x_seq.unbind(0):
            spikes.append(self.single_step_forward(x))
            voltages.append(self.v)
        if self.store_v_seq:
            self.v_seq = stack_steps([v if isinstance(v, Tensor) else torch.full_like(x, v) for v in voltages])
        self._remember(self.state)
        return stack_steps(spikes)

    def extra_repr(self) -> str:
        shown = {**self.dynamics(), "step_mode": self.step_mode, "backend": self.backend}
        return ", ".join(f"{key}={value}" for key, value in shown.items() if not isinstance(value, nn.Parameter))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SpikingNeuron":
        super()._apply(fn, recurse)
        for name in self.state_names:
            value = getattr(self, name)
            if isinstance(value, Tensor):
                setattr(self, name, fn(value))
        if self.v_seq is not None:
            self.v_seq = torch.stack([fn(v) for v in self.v_seq])
        return self

    def __getstate__(self) -> dict[str, Any]:
        values = {k: v.detach() if isinstance(v, Tensor) else v for k, v in self.__dict__.items()}
        return {**values, "_calls_anew": True, "_first_start": ()}


def _in_backward() -> bool:
    """Whether this runs inside a backward pass of autograd, where activation checkpointing computes modules again."""
    return not torch.compiler.is_compiling() and private_torch.graph_task() != -1
