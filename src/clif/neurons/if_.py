"""Integrate-and-fire."""

from typing import Any

from clif.neurons.base import SpikingNeuron
from clif.neurons.registry import register_neuron
from clif.ops.constants import Constant
from clif.surrogate import AnySurrogate


@register_neuron("IF")
class IFNode(SpikingNeuron):
    """The integrate-and-fire neuron, LIF without its leak:

        u = v + x;   s = Θ(u − v_threshold);   v = u − s·v_threshold, or v_reset after a spike

    For all arguments, shapes and errors see `SpikingNeuron`. Source: `IFNode` of SpikingJelly.

    >>> node = clif.IFNode(step_mode="m")
    >>> node(torch.full((6, 1, 1), 0.5)).flatten()
    tensor([0., 1., 0., 1., 0., 1.])
    """

    states = {"v": 0.0}

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
        super().__init__(v_threshold, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq)

    def step(self, x: Any, v: Any) -> tuple[Any, ...]:
        u = v + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)
