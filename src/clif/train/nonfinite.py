"""Losses and gradients that are not finite: noticed without making a GPU wait, and traced to their layer."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

PATIENCE = 20


class FiniteGuard:
    """Records on the device the first step whose loss or gradient is not finite.

    With a gradient scaler (`patient`), which skips steps whose gradient is not finite, only losses are recorded, and
    more than 20 such losses in a row end the run. Without a scaler, a CPU notices it at once; on a GPU `protect` keeps
    the optimiser from changing the weights from that step on, until the host reads the record.
    """

    def __init__(self, device: torch.device, patient: bool) -> None:
        self.patient = patient
        self.notes = torch.tensor([-1, 0, 0], device=device)
        """The step that ends the run or -1, failed steps in a row, and failed steps in the epoch."""

    def note(self, value: Tensor, step: int) -> None:
        """Record whether a loss, or the norm of the gradient, of the run's step number `step` is finite."""
        failed = ~value.detach().isfinite()
        in_a_row = torch.where(failed, self.notes[1] + 1, 0)
        ends = in_a_row > (PATIENCE if self.patient else 0)
        first = torch.where(ends & (self.notes[0] < 0), step, self.notes[0])
        self.notes = torch.stack([first, in_a_row, self.notes[2] + failed])

    def failed_step(self) -> int | None:
        """The step that ends the run, or None; a GPU waits."""
        step = int(self.notes[0].item())
        return None if step < 0 else step

    def protect(self, optimizer: torch.optim.Optimizer) -> None:
        """Make a fused optimiser skip its step if a loss was not finite."""
        optimizer.found_inf = (self.notes[0] >= 0).float()  # type: ignore[attr-defined]

    def skipped(self) -> int:
        """The number of steps of the epoch that the scaler skipped because of their loss."""
        return int(self.notes[2].item())

    def begin_epoch(self) -> None:
        self.notes[2] = 0


@contextmanager
def first_not_finite(net: nn.Module) -> Iterator[list[str]]:
    """A context that returns a list; the first module of `net` whose output is not finite is added to it."""
    found: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        def look(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            if found or not isinstance(output, Tensor) or output.isfinite().all():
                return
            finite = all(x.isfinite().all() for x in inputs if isinstance(x, Tensor))
            found.append(f"the {'output' if finite else 'input'} of {name} ({type(module).__name__})")

        return look

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in net.named_modules()
        if name and not any(True for _ in module.children())
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def infinite_buffers(net: nn.Module) -> set[str]:
    """The buffers of `net` with values that are infinite by design, such as a mask of −∞."""
    floating = [(name, value) for name, value in net.named_buffers() if value.is_floating_point()]
    return {name for name, value in floating if value.isinf().any() and not value.isnan().any()}


def first_bad_value(net: nn.Module, infinite: Collection[str] = ()) -> str | None:
    """The first weight or buffer of `net` that is not finite, except for the buffers `infinite`; a GPU waits.

    A spiking neuron does not fire if its input is NaN, so the loss can stay finite with such weights.
    """
    state = net.state_dict().items()
    named = [(name, value) for name, value in state if value.is_floating_point() and name not in infinite]
    finite = torch.stack([value.isfinite().all() for _, value in named]).tolist()
    return next((name for (name, _), good in zip(named, finite, strict=True) if not good), None)


def trace(net: nn.Module, losses: Iterable[Callable[[], Tensor]]) -> tuple[float, str] | None:
    """The first of the `losses`, computed again by `net`, with a value that is not finite, and the layer.

    All of them are computed, so that processes which exchange statistics stay in step.
    """
    result = None
    weight = next((name for name, value in net.named_parameters() if not value.isfinite().all()), None)
    for compute in losses:
        with torch.no_grad(), first_not_finite(net) as found:
            loss = compute().item()
        if result is None and (found or not math.isfinite(loss)):
            layer = found[0] if found else "the loss itself"
            result = loss, layer if weight is None else f"the weight {weight}, since an earlier step"
    return result
