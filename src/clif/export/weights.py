"""The weights of a network in a safetensors file that describes the network."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.models.layer_options import described, unnamed_surrogates
from clif.paths import expand_home
from clif.safetensors import write_safetensors
from clif.train.config import PATHS

logger = logging.getLogger("clif.export")

PRIVATE = frozenset((*PATHS, "name"))
"""Options with paths of the machine that trained."""

HALVES = (torch.float16, torch.bfloat16)


def to_safetensors(
    net: nn.Module,
    path: str | os.PathLike[str],
    config: dict[str, Any] | None = None,
    weight_dtype: torch.dtype | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Write the weights of `net` to a safetensors file, with the arguments of `create_model` if clif created it.

    These include constants and surrogates that were set on single neurons; a surrogate without a name is left out with
    a warning.

    `config`, the training options, and `data`, the description of the training data, come from a checkpoint.

    `clif.load(path)` and every command that takes a checkpoint read it, and other programs read its tensors. With
    `weight_dtype`, torch.float16 or torch.bfloat16, weights of two and more dimensions take half the bytes, rounded to
    11 or 8 bits of precision; batch norms, biases and parameters of neurons keep their dtype. Raises `InputError` for
    another dtype, for a weight beyond its range, for a state that the format does not have, for a network of clif in
    which another neuron replaced one of its own, and if the file cannot be written.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.to_safetensors(net, "net.safetensors", weight_dtype=torch.float16)
    >>> clif.load("net.safetensors").T
    2
    """

    if weight_dtype not in (None, *HALVES):
        raise InputError(f"weight_dtype must be None, torch.float16 or torch.bfloat16, got {weight_dtype}")

    def stored(name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if weight_dtype is None or value.dim() < 2 or not value.is_floating_point():
            return value.detach()
        rounded = value.detach().to(weight_dtype)
        if rounded.isinf().any() and not value.isinf().any():
            largest = torch.finfo(weight_dtype).max
            raise InputError(f"{name} has weights beyond {largest:g}, the largest number in {weight_dtype}")
        return rounded

    kept = {key: value for key, value in (config or {}).items() if key not in PRIVATE}
    tensors = {name: stored(name, value) for name, value in net.state_dict().items()}
    for line in unnamed_surrogates(net):
        logger.warning("%s: %s", path, line)
    model = {} if (description := described(net)) is None else {"model": description}
    content = {**model, "config": kept, **({} if data is None else {"data": data})}
    write_safetensors(Path(expand_home(path)), tensors, content)
