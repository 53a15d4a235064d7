"""Muon (Jordan et al., 2024): steps whose directions are orthogonal matrices, for the weights of hidden layers."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3


def orthogonalise(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Nearly U·Vᵀ of a matrix U·S·Vᵀ [rows, columns], by three Newton-Schulz iterations; large S become 0.7 to 1.2.

    They are computed in `dtype`, for which bfloat16 is enough, or in that of the matrix.
    """
    a, b, c = COEFFICIENTS
    x = (matrix / (matrix.norm() + 1e-7)).to(dtype or matrix.dtype)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.mT
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(matrix.dtype)


class Muon(Optimizer):
    """Muon for groups with "orthogonal": True, SGD with Nesterov's momentum for the others.

    A weight [out, ...] of an orthogonal group is a matrix [out, -1]. Its step is lr·|w|·O/|O|, with O the nearly
    orthogonal matrix of its momentum and |·| the Frobenius norm, and the step does not change |w|, because the batch
    norm after a convolution removes the norm anyway. So `lr` is the angle of a step, and these groups have no weight
    decay. A weight that is zero stays zero. The orthogonal matrix is computed in `dtype`, by default that of the
    weight.

        optimizer = Muon([{"params": hidden, "orthogonal": True}, {"params": others, "lr": 0.1}], lr=0.2)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.2,
        momentum: float = 0.6,
        weight_decay: float = 0.0,
        orthogonal: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype = dtype
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "orthogonal": orthogonal}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            change = self._turn if group["orthogonal"] else self._descend
            for parameter in group["params"]:
                if parameter.grad is not None:
                    change(parameter, parameter.grad, group)
        return loss

    def _direction(self, parameter: Tensor, grad: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov's momentum."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(grad)
        return grad.add(buffer, alpha=momentum)

    def _turn(self, weight: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        direction = self._direction(weight, grad, group["momentum"])
        matrix = orthogonalise(direction.flatten(1), self.dtype)
        norm = weight.norm()
        weight.add_(matrix.view(direction.shape) * (-group["lr"] * norm / (matrix.norm() + 1e-7)))
        weight.mul_(norm / (weight.norm() + 1e-7))

    def _descend(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if group["weight_decay"]:
            grad = grad.add(parameter, alpha=group["weight_decay"])
        parameter.add_(self._direction(parameter, grad, group["momentum"]), alpha=-group["lr"])


def hidden_weights(net: nn.Module) -> list[Tensor]:
    """The weights that Muon trains: those of all convolutions except the first, which sees pixels or frames.

    A weight that is computed from other parameters, as under `weight_norm` or pruning, is none.
    """
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    return [m.weight for m in convolutions[1:] if isinstance(m.weight, nn.Parameter)]
