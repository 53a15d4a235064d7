"""A readout without spikes."""

import math

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers.remembering import Remembering
from clif.ops.constants import Constant, as_constant, value_of
from clif.ops.kept import apart


class LeakyIntegrator(Remembering):
    """A membrane potential without spikes, as a readout: v[t] = v[t−1]·(1 − 1/τ) + x[t], with v = 0 at rest.

    The output is v. With `decay_input` it is v[t] = v[t−1]·(1 − 1/τ) + x[t]/τ, which converges to the value of a
    constant input. Single-step mode: x [N, *] -> v [N, *]. Multi-step mode: x_seq [T, N, *] -> v_seq [T, N, *]. Both
    continue from the v of the previous call until `clif.reset_net`; after `clif.set_keep_state(net, False)` every
    sequence begins at rest. v is float32 for inputs in half precision; the output has the dtype of the input.

    Args:
        tau: membrane time constant τ in steps, > 1; math.inf sums the inputs. An `nn.Parameter` is learnt.
        decay_input: divide the input by τ.
        step_mode: "s" or "m".

    Raises `InputError` for a τ out of range, an integer input, a sequence without steps, and a v of another shape.

        >>> readout = clif.layers.LeakyIntegrator(tau=2.0, step_mode="m")
        >>> readout(torch.ones(3, 1, 1)).flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """

    v: Tensor | None
    memory_name = "v"
    keep_state = True

    def __init__(self, tau: Constant = 2.0, decay_input: bool = False, step_mode: str = "s") -> None:
        super().__init__(step_mode)
        number = as_constant("tau of a LeakyIntegrator", tau)
        if decay_input and value_of(number) == math.inf:
            raise InputError("decay_input divides the input by tau, which is infinite; leave one of them out")
        self.tau = tau if isinstance(tau, nn.Parameter) else number
        self.decay_input = decay_input
        self._check()

    def _check(self) -> None:
        tau = value_of(self.tau)
        if tau is not None and not tau > 1:
            raise InputError(f"tau of a LeakyIntegrator must be greater than 1, got {tau}")

    def forward(self, x: Tensor) -> Tensor:
        self._check()
        if not x.is_floating_point():
            raise InputError(f"LeakyIntegrator needs a floating-point input, got {x.dtype}; convert it with x.float()")
        if self.step_mode == "s":
            self.v = self._step(x, self._fitting(x, x.shape))
            return apart(self.v.to(x.dtype), self.v)
        if x.dim() < 2 or len(x) == 0:
            raise InputError(f"a sequence must have shape [T, N, *] with T ≥ 1, got {list(x.shape)}")
        if not self.keep_state:
            self.reset()
        v = self._fitting(x[0], x.shape[1:]) if self.keep_state else None
        steps = []
        for step in x:
            v = self._step(step, v)
            steps.append(v.to(x.dtype))
        self.v = v
        return torch.stack(steps)

    @property
    def is_exclusive(self) -> bool:
        """Whether sequences begin from the v of the last call."""
        return self.keep_state

    def _step(self, x: Tensor, v: Tensor | None) -> Tensor:
        """v after the step's input `x`, from `v` before, None at rest."""
        charge = x.to(torch.promote_types(x.dtype, torch.float32))
        charge = charge / self.tau if self.decay_input else charge
        return apart(charge, x) if v is None else v * (1 - 1 / self.tau) + charge

    def extra_repr(self) -> str:
        return f"tau={value_of(self.tau)}, decay_input={self.decay_input}, step_mode={self.step_mode}"
