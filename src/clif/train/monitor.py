"""Measurements besides the loss: which layers fire, and the norms of the gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from clif.analysis import count_spikes, spiking_layers
from clif.layers.step import reads_output
from clif.models.wrapped import layer_name
from clif.neurons import SpikingNeuron
from clif.nonblocking import NonblockingReader

SATURATED = 0.95
EVERY = 16


class LayerMonitor:
    """Counts the spikes of each layer of neurons (for ReLU: the outputs that are not 0) over the steps of an epoch.

    With `thorough` all steps are counted. Otherwise every 16th step is, and for a layer that has not fired yet every
    step, so that a layer reported as silent was silent in the whole epoch. Nothing waits for a GPU.
    """

    def __init__(self, net: nn.Module, device: torch.device, thorough: bool) -> None:
        self.thorough = thorough
        self._modules = [name for name, module in net.named_modules() if isinstance(module, SpikingNeuron | nn.ReLU)]
        self.names = [layer_name(net, name) for name in self._modules]
        self.counts = torch.zeros(2, len(self.names), dtype=torch.float64, device=device)
        """Spikes and possible spikes of each layer."""
        self._silent = set(self.names)
        self._reader = NonblockingReader()

    def reset(self) -> None:
        """Begin an epoch."""
        self.counts.zero_()
        self._silent, self._reader = set(self.names), NonblockingReader()

    def load(self, counts: Tensor) -> None:
        """Continue within an epoch from the `counts` of a checkpoint."""
        self.reset()
        self.counts.copy_(counts)
        self._learn(counts)

    @contextmanager
    def watching(self, net: nn.Module, step: int) -> Iterator[None]:
        """A context in which the forward passes of `net` belong to this `step` of the epoch."""
        every = self.thorough or step % EVERY == 0
        chosen = [i for i, name in enumerate(self.names) if every or name in self._silent]
        handles = [net.get_submodule(self._modules[i]).register_forward_hook(self._hook(i)) for i in chosen]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        if self._silent and (counts := self._reader.read(self.counts)) is not None:
            self._learn(counts)

    def _learn(self, counts: Tensor) -> None:
        self._silent &= {name for name, spikes in zip(self.names, counts[0].tolist(), strict=True) if spikes == 0}

    def _hook(self, layer: int) -> Callable[..., None]:
        @reads_output
        def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
            output = output.detach()
            spiking = isinstance(module, SpikingNeuron)
            self.counts[0, layer] += count_spikes(output) if spiking else output.count_nonzero()
            self.counts[1, layer] += output.numel()

        return count

    def rates(self, counts: Tensor) -> dict[str, float]:
        """The firing rate of each layer from the `counts` of all processes."""
        spikes, chances = counts.tolist()
        return {name: s / max(c, 1) for name, s, c in zip(self.names, spikes, chances, strict=True)}


def unhealthy(rates: dict[str, float], net: nn.Module) -> dict[str, str]:
    """The layers that never or almost always fire, with a description of the problem."""
    found, spiking = {}, spiking_layers(net)
    for name, rate in rates.items():
        if rate == 0:
            found[name] = "did not fire once"
        elif rate > SATURATED and name in spiking:
            found[name] = f"fired at {rate:.1%} of all time steps"
    return found


class GradientNorms:
    """Mean and largest gradient norm over the steps of an epoch, kept on the device.

    Norms that are not finite, whose steps the loss scaling skips, do not count.
    """

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        """Sum, largest and number."""

    def add(self, norm: Tensor) -> None:
        norm = norm.detach().to(self.sums)
        is_finite = norm.isfinite()
        norm = norm.where(is_finite, 0.0)
        self.sums[0] += norm
        self.sums[1] = torch.maximum(self.sums[1], norm)
        self.sums[2] += is_finite

    def row(self) -> dict[str, float]:
        total, largest, number = self.sums.tolist()
        return {"train_grad_norm_mean": total / max(number, 1), "train_grad_norm_max": largest}
