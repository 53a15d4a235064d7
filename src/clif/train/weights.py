"""Weights as other programs save them: where a file holds them, and under which names."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clif.errors import InputError

WEIGHTS = ("net", "state_dict", "model_state_dict", "model", "network", "net_state_dict", "module", "weights")
"""Keys under which programs save a state dict, the original's first."""

AVERAGES = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "averaged_model")
"""Keys of a moving average of the weights, which is taken where there is nothing else."""

COUNTERS = ("total_ops", "total_params")
"""What thop leaves in every module."""

BESIDE = ("n_averaged", "initted", "step")
"""What an average keeps beside its copy of the network."""

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Modules that wrap another: DataParallel, torch.compile, FSDP, activation checkpointing; anywhere in a name."""

PARENTS = ("model", "net", "network", "ema_model", "student")
"""Attributes under which a larger module holds the network."""

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}


def is_state_dict(value: object) -> bool:
    """Whether a value is a dictionary of tensors by name, with at least one weight."""
    return (
        isinstance(value, dict)
        and all(isinstance(key, str) and isinstance(entry, Tensor) for key, entry in value.items())
        and any(entry.dim() > 1 for entry in value.values())
    )


def find_weights(content: object, depth: int = 2) -> tuple[str, dict[str, Tensor]] | None:
    """The key of the weights in the content of a foreign file ("" for a bare state dict), and the weights."""
    if is_state_dict(content):
        return "", content  # type: ignore[return-value]
    if not isinstance(content, dict) or depth == 0:
        return None
    for key in (*WEIGHTS, *AVERAGES):
        if found := find_weights(content.get(key), depth - 1):
            return f"{key}.{found[0]}".rstrip("."), found[1]
    return None


def fit_names(state_dict: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """A state dict under the names `own` of a network, as far as wrappers and counters are all that differs."""
    own = set(own)
    if own == state_dict.keys() or not all(isinstance(key, str) for key in state_dict):
        return state_dict
    kept = {
        key: value
        for key, value in state_dict.items()
        if key in own or not (key.rpartition(".")[2] in COUNTERS or key in BESIDE)
    }
    for names in ((), WRAPPERS):
        plain = {_without(key, names): value for key, value in kept.items()}
        if len(plain) < len(kept):
            continue
        for parent in ("", *(f"{parent}." for parent in PARENTS)):
            inner = {key.removeprefix(parent): value for key, value in plain.items() if key.startswith(parent)}
            if own <= inner.keys():
                return inner
    return plain if len(plain) == len(kept) else kept


def _without(key: str, names: tuple[str, ...]) -> str:
    return ".".join(part for part in key.split(".") if part not in names)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `InputError` for a file that is none or is damaged."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("its header is cut off")
            header = json.loads(file.read(size))
            data = bytearray(file.read())
        return {name: _tensor(entry, data) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise InputError(f"{path}: not a safetensors file, or damaged: {error}") from error


def _tensor(entry: dict[str, Any], data: bytearray) -> Tensor:
    dtype, shape, (start, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    count = math.prod(shape)
    if not (0 <= start <= end <= len(data)) or end - start != count * dtype.itemsize:
        raise ValueError("the places of its tensors do not fit its length")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start).view(shape).clone()
