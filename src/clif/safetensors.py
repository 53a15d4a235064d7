"""The safetensors format: tensors by name with a description, in a file that is read without executing code."""

import json
import math
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from clif.errors import InputError, in_words
from clif.files import write_atomically
from clif.int8_weights import from_int8

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
NAMES = {dtype: name for name, dtype in TYPES.items()}
MOST_SIDES = 64
DESCRIPTION = "clif"
"""The key in a file's metadata under which clif describes the network, as JSON."""
INT8 = "int8"
"""The key in the description with the names of the tensors that were rounded to int8."""
SCALE = ".scale"
"""What the scales of such a tensor are called, behind its name."""


def is_safetensors(path: Path) -> bool:
    """Whether a file has the extension of a safetensors file, or begins like one: with the size of a JSON object."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        size, first = int.from_bytes(file.read(8), "little"), file.read(1)
    return first == b"{" and size < path.stat().st_size


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, and clif's description of their network, {} without one.

    Weights that `to_safetensors` rounded to int8 are returned in float32.

    Raises `InputError` for a file of another format or a damaged one.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("its header is truncated")
            header = json.loads(file.read(size))
            data = bytearray(file.read())
        metadata = header.pop("__metadata__", {})
        description = json.loads(metadata.get(DESCRIPTION, "{}"))
        if not isinstance(description, dict):
            raise ValueError("its description is not a JSON object")
        _check_places(header, len(data))
        tensors = {name: _tensor(entry, data) for name, entry in header.items()}
        for name in description.pop(INT8, []):
            tensors[name] = from_int8(tensors[name], tensors.pop(name + SCALE))
        return tensors, description
    except Exception as error:  # a damaged header can raise anything
        raise InputError(f"{path}: not a safetensors file, or damaged: {in_words(error)}") from error


def _check_places(header: dict[str, Any], size: int) -> None:
    """Raise `ValueError` if tensors share bytes: a small file could then stand for any amount of memory."""
    end = 0
    for start, stop in sorted(entry["data_offsets"] for entry in header.values()):
        if not end <= start <= stop <= size:
            raise ValueError("the offsets of its tensors do not match its length")
        end = stop


def _tensor(entry: dict[str, Any], data: bytearray) -> Tensor:
    dtype, shape, (start, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if len(shape) > MOST_SIDES or not all(type(side) is int and 0 <= side < 1 << 63 for side in shape):
        raise ValueError("a tensor has no shape")
    count = math.prod(shape)
    if end - start != count * dtype.itemsize:
        raise ValueError("the offsets of its tensors do not match its length")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start).view(shape).clone()


def _check_storable(path: Path, name: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise InputError(f"{path}: {name} is a {type(value).__name__}; a safetensors file holds tensors only")
    if value.dtype not in NAMES or value.layout != torch.strided or value.is_meta:
        kind = "a tensor without data" if value.is_meta else f"{value.dtype}, {value.layout}"
        raise InputError(
            f"{path}: {name} is {kind}; clif writes dense tensors of the types {', '.join(map(str, NAMES))}"
        )


def write_safetensors(path: Path, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write tensors and a description of their network.

    Raises `InputError` for tensors and descriptions that the format does not have, and if the file cannot be written.
    """
    try:
        header: dict[str, Any] = {"__metadata__": {"format": "pt", DESCRIPTION: json.dumps(description)}}
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: its description of the network cannot be written as JSON: {error}") from error
    place = 0
    for name, tensor in tensors.items():
        _check_storable(path, name, tensor)
        size = tensor.numel() * tensor.dtype.itemsize
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)

    def write(file: BinaryIO) -> None:
        file.write(len(head).to_bytes(8, "little") + head)
        for tensor in tensors.values():
            file.write(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())

    try:
        write_atomically(path, write)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
