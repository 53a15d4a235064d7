"""Gains of all batch norms fitted at once, by gradient, so that a LIF network follows a CLIF network."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from clif.deploy.fit import distance, respond
from clif.models import SpikingNetwork

BATCH = 64


def fit_gains(
    net: SpikingNetwork,
    lif: SpikingNetwork,
    norms: Mapping[str, str],
    batches: Sequence[Tensor],
    per_channel: bool = True,
    epochs: int = 5,
    lr: float = 0.01,
) -> dict[str, Tensor]:
    """The gains by which to multiply the batch norms of `lif`: spiking layer -> [C], positive; `lif` does not change.

    `norms` names the batch norm before each spiking layer. Adam, with a learning rate that falls to 0 as a cosine,
    minimises the `distance` of the networks, which must be in eval mode. Deterministic: the images keep their order.
    """
    student = copy.deepcopy(lif).requires_grad_(False)
    sizes = {layer: student.get_parameter(f"{norm}.weight") for layer, norm in norms.items()}
    log_gains = {
        layer: weight.new_zeros(len(weight) if per_channel else 1).requires_grad_() for layer, weight in sizes.items()
    }
    pieces = list(_pieces(batches, net.dims))
    optimizer = torch.optim.Adam(log_gains.values(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(pieces))
    for x in pieces * epochs:
        with torch.no_grad():
            wanted = respond(net, norms, x)
        with torch.enable_grad():
            optimizer.zero_grad(set_to_none=True)
            distance(respond(student, norms, x, _scaled(student, norms, log_gains)), wanted).backward()
        optimizer.step()
        schedule.step()
    return {layer: value.detach().exp().expand_as(sizes[layer]) for layer, value in log_gains.items()}


def _scaled(lif: SpikingNetwork, norms: Mapping[str, str], log_gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"{norm}.{name}": lif.get_parameter(f"{norm}.{name}") * log_gains[layer].exp()
        for layer, norm in norms.items()
        for name in ("weight", "bias")
    }


def _pieces(batches: Sequence[Tensor], dims: int) -> Iterator[Tensor]:
    for batch in batches:
        yield from batch.split(BATCH, batch.dim() - 1 - dims)
