"""Containers that feed a module's output of the previous step back to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.dropout import Dropout
from clif.layers.remembering import Remembering
from clif.layers.step import StepModule
from clif.ops.kept import apart
from clif.ops.registration import is_exported


class _Container(Remembering):
    """Calls a module step by step, with an input that depends on its output of the previous step."""

    y: Tensor | None
    memory_name = "y"
    keep_state = True

    def __init__(self, sub_module: nn.Module, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        self.sub_module = sub_module

    def _mix(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The input of the module from that of the step and the output before, None at rest."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.step_mode == "s":
            with self._stepping(1):
                return self._step(x).clone()
        if x.dim() < 2 or len(x) == 0:
            raise InputError(f"{type(self).__name__} takes a sequence [T, N, *] with T ≥ 1, got {list(x.shape)}")
        with self._stepping(len(x)):
            return torch.stack([self._step(step) for step in x])

    def _step(self, x: Tensor) -> Tensor:
        y = self.y if self.y is None else self._fitting(x, torch.Size((*x.shape[:1], *self.y.shape[1:])))
        self.y = apart(self.sub_module(self._mix(x, y)), x)
        return self.y

    @contextmanager
    def _stepping(self, T: int) -> Iterator[None]:
        """A context in which the modules inside take single steps. A sequence has its own dropout masks.

        It begins at rest after `clif.set_keep_state(net, False)`.
        """
        inside = [module for module in self.sub_module.modules() if isinstance(module, StepModule)]
        for module in inside:
            if T > 1 and getattr(module, "gradient_window", None) is not None:
                raise InputError(
                    f"a gradient window needs whole sequences, but {type(self).__name__} calls its "
                    f"{type(module).__name__} step by step; call clif.detach_net every k steps in single-step mode"
                )
        many = [module for module in inside if module.step_mode == "m"]
        if self.step_mode == "m":
            at_rest = not all(getattr(module, "keep_state", True) for module in (self, *inside))
            for module in (self, *inside):
                if isinstance(module, Dropout) or (at_rest and isinstance(getattr(module, "keep_state", None), bool)):
                    module.state = None
            if is_exported():  # a neuron at rest refuses the graph of a step, but this is that of a sequence
                for module in inside:
                    if module.state is None and callable(rest_values := getattr(module, "rest_values", None)):
                        module.state = tuple(rest_values().values())
        try:
            for module in many:
                module.step_mode = "s"
            yield
        finally:
            for module in many:
                module.step_mode = "m"


class Recurrent(_Container):
    """A module with feedback: y[t] = module(x[t] + feedback(y[t−1])), and y[0] = module(x[0]) from rest.

    Single-step mode: x [N, *] -> y [N, *]. Multi-step mode: x_seq [T, N, *] -> y_seq [T, N, *], step by step, because
    each step needs the spikes of the step before. y stays between calls until `clif.reset_net`, which also resets the
    module.

    Args:
        module: usually a neuron, or layers that end with one.
        feedback: maps y [N, *] to the shape of x: `Linear`, `Conv2d`, or any stateless module with its own weights.
        step_mode: "s" or "m". `clif.set_step_mode` sets it here and inside; the module always takes single steps.

    Raises `InputError` for a feedback that keeps a state or returns another shape, and for another batch size before a
    reset.

        >>> hidden = clif.layers.Recurrent(clif.CLIFNode(), clif.layers.Linear(8, 8), step_mode="m")
        >>> hidden(torch.rand(6, 2, 8)).shape
        torch.Size([6, 2, 8])
    """

    def __init__(self, module: nn.Module, feedback: nn.Module, step_mode: str = "s") -> None:
        super().__init__(module, step_mode)
        for part in feedback.modules():
            if isinstance(part, StepModule) and next(part.memories(), self) is not self:
                raise InputError(f"the feedback of Recurrent must be stateless, got a {type(part).__name__}")
        self.feedback = feedback

    def _mix(self, x: Tensor, y: Tensor | None) -> Tensor:
        if y is None:
            return x
        fed_back: Tensor = self.feedback(y)
        if fed_back.shape != x.shape:
            raise InputError(
                f"the feedback of Recurrent must have the shape of a step's input, {list(x.shape)}; from the output "
                f"{list(y.shape)} it returns {list(fed_back.shape)}"
            )
        return x + fed_back


class LinearRecurrentContainer(_Container):
    """SpikingJelly's container: y[t] = sub_module(W·[x[t], y[t−1]] + b), with y = 0 at rest.

    The linear layer `rc` maps [N, *, in_features + out_features] to [N, *, in_features], as in SpikingJelly.
    Single-step mode: x [N, *, in_features] -> y [N, *, out_features]; multi-step mode: x_seq [T, N, *, in_features] ->
    y_seq [T, N, *, out_features]. The module always takes single steps. See `Recurrent` for a feedback of your own.

        >>> net = clif.layers.LinearRecurrentContainer(clif.LIFNode(), in_features=8, out_features=8, step_mode="m")
        >>> net(torch.rand(6, 2, 8)).shape
        torch.Size([6, 2, 8])
    """

    def __init__(
        self, sub_module: nn.Module, in_features: int, out_features: int, bias: bool = True, step_mode: str = "s"
    ) -> None:
        super().__init__(sub_module, step_mode)
        self.in_features = in_features
        self.out_features = out_features
        self.rc = nn.Linear(in_features + out_features, in_features, bias)

    def _mix(self, x: Tensor, y: Tensor | None) -> Tensor:
        if x.dim() < 2 or x.shape[-1] != self.in_features:
            n = self.in_features
            raise InputError(
                f"LinearRecurrentContainer takes one step [N, *, {n}] or a sequence [T, N, *, {n}], got a step "
                f"{list(x.shape)}"
            )
        if y is None:
            y = x.new_zeros(*x.shape[:-1], self.out_features)
        if y.shape[-1] != self.out_features:
            raise InputError(f"the module gives {y.shape[-1]} features, but out_features is {self.out_features}")
        return self.rc(torch.cat([x, y], -1))


class ElementWiseRecurrentContainer(_Container):
    """SpikingJelly's container: y[t] = sub_module(f(y[t−1], x[t])), with y = 0 at rest.

    Single-step mode: x [N, *] -> y [N, *]; multi-step mode: x_seq [T, N, *] -> y_seq [T, N, *]. The module, whose
    output has the shape of its input, always takes single steps.

    Args:
        sub_module: usually a neuron.
        element_wise_function: f, element by element, such as `torch.add`.
        step_mode: "s" or "m".

        >>> net = clif.layers.ElementWiseRecurrentContainer(clif.LIFNode(), torch.add, step_mode="m")
        >>> net(torch.rand(6, 2, 8)).shape
        torch.Size([6, 2, 8])
    """

    def __init__(
        self, sub_module: nn.Module, element_wise_function: Callable[[Tensor, Tensor], Tensor], step_mode: str = "s"
    ) -> None:
        super().__init__(sub_module, step_mode)
        self.element_wise_function: Any = element_wise_function

    def _mix(self, x: Tensor, y: Tensor | None) -> Tensor:
        if y is not None and y.shape != x.shape:
            raise InputError(
                f"the module of ElementWiseRecurrentContainer must keep the shape of its input {list(x.shape)}, "
                f"got {list(y.shape)}"
            )
        mixed: Tensor = self.element_wise_function(torch.zeros_like(x) if y is None else y, x)
        return mixed
