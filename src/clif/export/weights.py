"""The weights of a network in a safetensors file that describes the network."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clif.models import SpikingNetwork
from clif.paths import expand_home
from clif.safetensors import write_safetensors
from clif.train.config import PATHS

PRIVATE = frozenset((*PATHS, "name"))
"""Options with paths of the machine that trained."""


def to_safetensors(
    net: SpikingNetwork,
    path: str | os.PathLike[str],
    config: dict[str, Any] | None = None,
    bfloat16: bool = False,
    data: dict[str, Any] | None = None,
) -> None:
    """Write the weights of `net` and the arguments of `create_model` to a safetensors file.

    `config`, the training options, and `data`, the description of the training data, come from a checkpoint.

    `clif.load(path)` and every command that takes a checkpoint read it, and other programs read its tensors. With
    `bfloat16` weights of two and more dimensions are stored in bfloat16, in half the bytes, rounded to 8 bits of
    precision; batch norms, biases and parameters of neurons keep their dtype. Raises `InputError` if the file cannot be
    written.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.to_safetensors(net, "net.safetensors", bfloat16=True)
    >>> clif.load("net.safetensors").T
    2
    """

    def stored(value: Tensor) -> Tensor:
        return value.to(torch.bfloat16) if bfloat16 and value.dim() > 1 and value.is_floating_point() else value

    kept = {key: value for key, value in (config or {}).items() if key not in PRIVATE}
    tensors = {name: stored(value.detach()) for name, value in net.state_dict().items()}
    write_safetensors(
        Path(expand_home(path)),
        tensors,
        {"model": net.config, "config": kept, **({} if data is None else {"data": data})},
    )
