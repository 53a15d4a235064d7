"""Similarity of two networks, layer by layer: agreement of their spikes, and linear CKA."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clif.analysis.activity import (
    Forward,
    Sequence,
    batches_of,
    firing_layers,
    input_of,
    never_called,
    see,
    sequences,
    step_mode_of,
)
from clif.analysis.plotting import axes_or_new, tidy
from clif.analysis.results import Result, Row, ratio
from clif.errors import InputError, unknown_name
from clif.neurons import reset_net
from clif.neurons.net import visiting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 4
"""Samples of a batch below which the unbiased estimate of HSIC does not exist."""


@dataclass(frozen=True)
class Similarity(Result):
    """Two networks with the layers `names_a` (A of them) and `names_b` (B).

    - `pairs`: the layers that were compared spike by spike.
    - `agreement`: for each pair the fraction of (sample, step, neuron) at which both fire or both do not.
    - `overlap`: for each pair the spikes in both divided by the spikes in either. It says more about networks
      that seldom fire. Both are NaN for layers with different sizes or numbers of steps.
    - `cka`: linear CKA of the spikes of all steps, float64 [A, B]; `cka_of_counts`: CKA of the spikes summed over time.
      NaN for a layer that fires the same spikes in all samples, such as a silent one.

    >>> net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(step_mode="m"))
    >>> found = clif.analysis.similarity(net, net, [3 * torch.rand(6, 32, 4)])
    >>> found.pairs, found.agreement
    ([('1', '1')], [1.0])
    """

    names_a: list[str]
    names_b: list[str]
    pairs: list[tuple[str, str]]
    agreement: list[float]
    overlap: list[float]
    cka: Tensor
    cka_of_counts: Tensor

    def table(self) -> list[Row]:
        """One row per pair of layers."""
        return [
            {
                "layer": a,
                "other": b,
                "agreement": self.agreement[k],
                "overlap": self.overlap[k],
                "cka": self.cka[place := (self.names_a.index(a), self.names_b.index(b))].item(),
                "cka of counts": self.cka_of_counts[place].item(),
            }
            for k, (a, b) in enumerate(self.pairs)
        ]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """CKA of all layers of one network with all of the other."""
        axes = axes_or_new(ax, 1.8 + 0.6 * len(self.names_b), 1.4 + 0.5 * len(self.names_a))
        image = axes.imshow(self.cka.numpy(), vmin=0, vmax=1, cmap="viridis", origin="lower")
        axes.set_xticks(range(len(self.names_b)), self.names_b, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(len(self.names_a)), self.names_a, fontsize=8)
        tidy(axes, "Linear CKA of the spikes", "", "")
        axes.grid(visible=False)
        axes.figure.colorbar(image, ax=axes, shrink=0.8)
        return axes


def similarity(
    net_a: nn.Module,
    net_b: nn.Module,
    loader: Iterable[Any],
    pairs: Mapping[str, str] | None = None,
    forward: Forward | None = None,
) -> Similarity:
    """Compare the spikes of two networks on the same batches, in eval mode.

    CKA (Kornblith et al., 2019) is estimated from batches with the unbiased HSIC of Song et al. (2012), averaged over
    the batches, weighted by their size, as Nguyen, Raghu and Kornblith (2021) do; a batch of fewer than 4 samples has
    no estimate and counts only for the agreement. Memory use does not depend on the size of the data.

    `pairs` maps layers of `net_a` to the layers of `net_b` with which they are compared. By default these are the
    layers in order if both networks have the same number, else those of the same name. The networks may differ in
    neurons, sizes and numbers of steps. `loader` and `forward` are those of `firing_rates`. Raises `InputError` for
    networks without spiking neurons, unknown layers, an empty loader, and if no batch has 4 samples.

        >>> clif_net, lif_net = (clif.models.create_model("snn5_noAP", neuron=name) for name in ("CLIF", "LIF"))
        >>> clif.analysis.similarity(clif_net, lif_net, [torch.randn(8, 3, 32, 32)]).cka.shape
        torch.Size([5, 5])
    """
    layers_a, layers_b = firing_layers(net_a), firing_layers(net_b)
    running = _Running(_paired(list(layers_a), list(layers_b), pairs))
    batches = 0
    with visiting(net_a, step_mode_of(net_a)), visiting(net_b, step_mode_of(net_b)):
        for batch in batches_of(loader):
            batches += 1
            running.add(_spikes(net_a, layers_a, batch, forward), _spikes(net_b, layers_b, batch, forward))
    if not batches:
        raise InputError("the loader is empty; give at least one batch")
    return running.result()


def _spikes(net: nn.Module, layers: Mapping[str, nn.Module], batch: Any, forward: Forward | None) -> dict[str, Tensor]:
    """The spikes of a batch, bool [T, N, *] by layer."""
    found: dict[str, list[Tensor]] = {}

    def keep(sequence: Sequence) -> None:
        found.setdefault(sequence.name, []).append(sequence.spike_seq != 0)

    reset_net(net)
    with sequences(layers, keep):
        see(net, input_of(net, batch), forward)
    if not found:
        raise never_called(net)
    return {name: torch.cat(found[name]) for name in layers if name in found}


def _paired(a: list[str], b: list[str], pairs: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if pairs is not None:
        for name, known in ((n, k) for pair in pairs.items() for n, k in zip(pair, (a, b), strict=True)):
            if name not in known:
                raise unknown_name("spiking layer", name, known)
        return list(pairs.items())
    return list(zip(a, b, strict=True)) if len(a) == len(b) else [(name, name) for name in a if name in b]


Gram = Callable[[Tensor], Tensor]
Hsics = tuple[Tensor, Tensor, Tensor]


class _Running:
    """Sums over batches."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self.counted = torch.zeros(len(pairs), 4, dtype=torch.float64)
        self.hsic: dict[Gram, Hsics] = {}
        self.names: tuple[list[str], list[str]] = ([], [])

    def add(self, a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
        self.names = (list(a), list(b))
        for k, (name, other) in enumerate(self.pairs):
            if name in a and other in b and a[name].shape == b[other].shape:
                self.counted[k] += _agreement(a[name], b[other].to(a[name].device))
        N = next(iter(a.values())).shape[1]
        if N < FEWEST:
            return
        for gram in (_gram, _count_gram):
            K, L = (torch.stack([gram(spikes) for spikes in net.values()]) for net in (a, b))
            cross, own_a, own_b = _hsics(K, L)
            before = self.hsic.get(gram, (torch.zeros_like(cross), torch.zeros_like(own_a), torch.zeros_like(own_b)))
            self.hsic[gram] = (before[0] + N * cross, before[1] + N * own_a, before[2] + N * own_b)

    def result(self) -> Similarity:
        if not self.hsic:
            raise InputError(f"CKA needs a batch of at least {FEWEST} samples")
        present = [pair for pair in self.pairs if pair[0] in self.names[0] and pair[1] in self.names[1]]
        counted = {pair: row.tolist() for pair, row in zip(self.pairs, self.counted, strict=True)}
        cka, of_counts = (cross / (own_a[:, None] * own_b).sqrt() for cross, own_a, own_b in self.hsic.values())
        return Similarity(
            *self.names,
            present,
            [ratio(counted[pair][0], counted[pair][1]) for pair in present],
            [ratio(counted[pair][2], counted[pair][3]) for pair in present],
            cka,
            of_counts,
        )


def _agreement(a: Tensor, b: Tensor) -> Tensor:
    """The numbers of equal values, of all values, of spikes in both, and of spikes in either."""
    counts = ((a == b).sum(), torch.tensor(a.numel()), (a & b).sum(), (a | b).sum())
    return torch.stack([count.cpu() for count in counts]).double()


def _gram(spikes: Tensor) -> Tensor:
    """⟨x_i, x_j⟩ of the samples' spikes at all steps, from bool [T, N, *]: float64 [N, N], whole numbers."""
    steps = spikes.flatten(2) if spikes.dim() > 2 else spikes[..., None]
    return sum((_products(step.float()) for step in steps), start=torch.zeros(()))


def _count_gram(spikes: Tensor) -> Tensor:
    """The same for the samples' spikes summed over the steps."""
    counts = spikes.sum(0)
    return _products(counts.flatten(1).float() if counts.dim() > 1 else counts[:, None].float())


def _products(x: Tensor) -> Tensor:
    """x xᵀ of x [N, F], in blocks short enough for float32 to add whole numbers exactly."""
    block = 2**12
    return sum(
        ((part @ part.T).double().cpu() for part in x.split(block, 1)), start=torch.zeros((), dtype=torch.float64)
    )


def _hsics(K: Tensor, L: Tensor) -> Hsics:
    """The unbiased HSIC of Gram matrices K [A, N, N] and L [B, N, N]: [A, B], and of each with itself, [A] and [B]."""
    K, L = _without_diagonal(K), _without_diagonal(L)
    return _hsic(K[:, None], L[None]), _hsic(K, K), _hsic(L, L)


def _without_diagonal(K: Tensor) -> Tensor:
    """Gram matrices with a diagonal of 0, less a constant that HSIC ignores: exactly 0 if all samples are equal."""
    K = K - K[:, :1, 1:2]
    return K - torch.diag_embed(K.diagonal(dim1=-2, dim2=-1))


def _hsic(K: Tensor, L: Tensor) -> Tensor:
    """HSIC₁ of Song et al. (2012) for symmetric [*, N, N] with zeros on the diagonal."""
    N = K.shape[-1]
    rows_K, rows_L = K.sum(-1), L.sum(-1)
    trace = (K * L).sum((-2, -1))
    whole = rows_K.sum(-1) * rows_L.sum(-1) / ((N - 1) * (N - 2))
    crossed = 2 / (N - 2) * (rows_K * rows_L).sum(-1)
    return (trace + whole - crossed) / (N * (N - 3))
