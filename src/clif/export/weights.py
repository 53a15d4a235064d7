"""The weights of a network in a safetensors file that describes the network."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.int8_weights import to_int8
from clif.models.layer_options import described, unnamed_surrogates
from clif.paths import expand_home
from clif.safetensors import INT8, SCALE, write_safetensors
from clif.train.config import PATHS

logger = logging.getLogger("clif.export")

PRIVATE = frozenset((*PATHS, "name"))
"""Options with paths of the machine that trained."""

WEIGHT_DTYPES = (torch.float16, torch.bfloat16, torch.int8)


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
    11 or 8 bits of precision; batch norms, biases and parameters of neurons keep their dtype. With torch.int8 they take
    a quarter of the bytes of float32: the file has int8 [n, …] under the weight's name and scales [n], float32, under
    NAME.scale, and their product is the weight, which clif reads as float32. Raises `InputError` for another dtype, for
    a weight beyond its range, for a state that the format does not have, for a network of clif in which another neuron
    replaced one of its own, and if the file cannot be written.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> clif.export.to_safetensors(net, "net.safetensors", weight_dtype=torch.float16)
    >>> clif.load("net.safetensors").T
    2
    """

    if weight_dtype not in (None, *WEIGHT_DTYPES):
        one_of = ", ".join(map(str, WEIGHT_DTYPES[:-1]))
        raise InputError(f"weight_dtype must be None, {one_of} or {WEIGHT_DTYPES[-1]}, got {weight_dtype}")
    kept = {key: value for key, value in (config or {}).items() if key not in PRIVATE}
    tensors = dict(net.state_dict())
    weights = [name for name, value in tensors.items() if _is_weight(value)]
    if weight_dtype == torch.int8:
        for name in weights:
            tensors[name], tensors[name + SCALE] = _int8(name, tensors[name])
    elif weight_dtype is not None:
        tensors |= {name: _half(name, tensors[name], weight_dtype) for name in weights}
    for line in unnamed_surrogates(net):
        logger.warning("%s: %s", path, line)
    model = {} if (description := described(net)) is None else {"model": description}
    content: dict[str, Any] = {**model, "config": kept, **({} if data is None else {"data": data})}
    if weight_dtype == torch.int8:
        content[INT8] = weights
    write_safetensors(Path(expand_home(path)), tensors, content)


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 1 and value.is_floating_point() and value.numel() > 0


def _half(name: str, weight: Tensor, dtype: torch.dtype) -> Tensor:
    rounded = weight.detach().to(dtype)
    if rounded.isinf().any() and not weight.isinf().any():
        raise InputError(f"{name} has weights beyond {torch.finfo(dtype).max:g}, the largest number in {dtype}")
    return rounded


def _int8(name: str, weight: Tensor) -> tuple[Tensor, Tensor]:
    if not weight.float().isfinite().all():
        raise InputError(f"{name} has weights that are NaN, infinite or beyond float32, which int8 cannot hold")
    return to_int8(weight)
