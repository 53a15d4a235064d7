"""The paper's conversion: one reset value for all layers, the best of several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from clif.deploy.plain_lif import plain_lif
from clif.errors import InputError
from clif.evaluation import evaluate
from clif.models.wrapped import as_network
from clif.neurons import set_step_mode

PAPER_RESETS: tuple[float | None, ...] = (None, 0.0, -0.02, -0.04, -0.06, -0.08, -0.1)


@dataclass(frozen=True)
class SweepRow:
    """A reset value (None: soft reset) and the accuracies 0–1 of the LIF network with it.

    >>> clif.deploy.SweepRow(v_reset=-0.06, top1=0.66, top5=0.95, samples=100)
    SweepRow(v_reset=-0.06, top1=0.66, top5=0.95, samples=100)
    """

    v_reset: float | None
    top1: float
    top5: float
    samples: int


def sweep(
    net: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    v_resets: Sequence[float | None] = PAPER_RESETS,
    quiet: bool = True,
) -> list[SweepRow]:
    """Evaluate `net` as LIF with each of the reset values on the loader's batches; `net` itself does not change.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> rows = clif.deploy.sweep(net, batches, v_resets=[None, 0.0, -0.06])
    >>> [row.v_reset for row in rows]
    [None, 0.0, -0.06]
    """
    if not isinstance(v_resets, Iterable):
        raise InputError(f"v_resets must be a sequence such as (None, 0.0, -0.06), got {v_resets!r}")
    rows = []
    network = as_network(net)
    for v_reset in v_resets:
        lif = plain_lif(network, v_reset)
        set_step_mode(lif, "m")
        scores = evaluate(lif, loader, quiet=quiet)
        rows.append(SweepRow(v_reset, scores.top1, scores.top5, scores.samples))
    return rows


def best_row(rows: Sequence[SweepRow]) -> SweepRow:
    """The row of the highest top-1 accuracy; the first of several.

    >>> rows = [clif.deploy.SweepRow(None, 0.60, 0.90, 100), clif.deploy.SweepRow(-0.06, 0.66, 0.95, 100)]
    >>> clif.deploy.best_row(rows).v_reset
    -0.06
    """
    return max(rows, key=lambda row: row.top1)
