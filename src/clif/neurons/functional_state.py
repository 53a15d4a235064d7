"""A neuron's calls as functions of its state, by SpikingJelly's names: nothing is written to the neuron."""

import numbers
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from clif.errors import InputError
from clif.layers import StepModule, check_step_mode
from clif.neurons import sequence
from clif.neurons.recomputation import Calls, Values
from clif.neurons.sequence import Mode
from clif.ops.constants import Constant
from clif.ops.equations import Equations, State, compute_dtype, first_step

Memory = Tensor | float
Outputs = tuple[tuple[Tensor, ...], tuple[Memory, ...]]


class FunctionalState(StepModule):
    """The calls of `SpikingNeuron` as functions `(inputs, states) -> (outputs, states)`; both sides are tuples.

    `states` has the order of `named_memories()`. A state is a number, which counts for every element, or a tensor like
    a step of the input.
    """

    keep_state: bool
    _values: Values
    _calls: Calls
    single_step_forward: Callable[[Tensor], Tensor]
    multi_step_forward: Callable[[Tensor], Tensor]
    equations: Callable[[], Equations]
    sequence_mode: Callable[[], Mode]
    overrides: Callable[[str], bool]
    _rest: Callable[[], dict[str, Constant]]

    def named_memories(self) -> Iterator[tuple[str, Any]]:
        """The states from which the next call begins, by name: tensors, or numbers at rest."""
        begins_at_rest = self._values is None or (self.step_mode == "m" and not self.keep_state)
        rest = self._rest()
        yield from rest.items() if begins_at_rest else zip(rest, self._values or (), strict=True)

    def materialize_states(self, inputs: Sequence[Tensor], states: Sequence[Memory], step_mode: str) -> State:
        """The states as tensors like a step of the input, in the dtype of computation.

        Raises `InputError` for another number of states, and for a state of another shape or device.
        """
        x = self._input(inputs, {})
        if check_step_mode(step_mode) == "m":
            x = first_step(x)
        return self.equations().start(x, as_tensors(states, x)) if states or self.states else ()

    def single_step_functional_forward(
        self, inputs: Sequence[Tensor], states: Sequence[Memory], **kwargs: Any
    ) -> Outputs:
        """One step, x [N, *], from `states` to (spikes,) and the new states."""
        x = self._input(inputs, kwargs)
        if self.overrides("single_step_forward"):
            return self._with_states(self.single_step_forward, x, as_tensors(states, x))
        spike, after = sequence.single_step(self.equations(), x, as_tensors(states, x))
        return (spike,), after

    def multi_step_functional_forward(
        self, inputs: Sequence[Tensor], states: Sequence[Memory], **kwargs: Any
    ) -> Outputs:
        """A sequence, x_seq [T, N, *], from `states` to (spikes,) and the last states."""
        x_seq = self._input(inputs, kwargs)
        start = as_tensors(states, first_step(x_seq))
        if self.overrides("multi_step_forward") or self.overrides("single_step_forward"):
            return self._with_states(self.multi_step_forward, x_seq, start)
        mode = self.sequence_mode()._replace(store_v_seq=False)
        result = sequence.compute(self.equations(), mode, x_seq, start, keep_state=True)
        return (result.spike_seq,), result.last

    def functional_forward(self, inputs: Sequence[Tensor], states: Sequence[Memory], **kwargs: Any) -> Outputs:
        """A call in the present step mode, from `states` to (spikes,) and the states after it.

        It begins from `states` for any setting of `clif.set_keep_state`. Gradients go through the states.
        """
        states = self.materialize_states(inputs, states, self.step_mode)
        if self.overrides("forward"):
            return self._with_states(self.forward, self._input(inputs, kwargs), states)
        if self.step_mode == "m":
            return self.multi_step_functional_forward(inputs, states, **kwargs)
        return self.single_step_functional_forward(inputs, states, **kwargs)

    def _input(self, inputs: Sequence[Tensor], kwargs: dict[str, Any]) -> Tensor:
        if len(inputs) != 1 or kwargs:
            raise InputError(
                f"{type(self).__name__} as a function of its state takes only one input, got "
                f"{len(inputs)} and {sorted(kwargs)}; apply a batch norm before it"
            )
        return inputs[0]

    def _with_states(self, call: Callable[[Tensor], Tensor], x: Tensor, states: State) -> Outputs:
        """A call that a class overrides, from `states`; the neuron's own states are restored afterwards.

        Other attributes of the class keep the values of the call.
        """
        kept = {**self.memory, "keep_state": self.keep_state}
        try:
            self._values, self._calls, self.keep_state = states or None, Calls().reset(), True
            spikes = call(x)
            return (spikes,), tuple(self.memories())
        finally:
            vars(self).update(kept)


def as_tensors(states: Sequence[Memory], x: Tensor) -> State:
    """The states for a step's input `x`: a number, or a tensor of shape [], counts for every element of it."""
    return tuple([_as_tensor(state, x) for state in states])


def _as_tensor(state: Any, x: Tensor) -> Tensor:
    dtype = compute_dtype(x.dtype)
    if isinstance(state, Tensor):
        return state if state.dim() else state.to(x.device, dtype).expand(x.shape)
    if isinstance(state, numbers.Real):
        return torch.full_like(x, float(state), dtype=dtype)
    raise InputError(f"a state is a number or a tensor, got {state!r}")
