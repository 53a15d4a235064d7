"""Pickles of NumPy arrays by any version of Python and NumPy, read without executing anything of theirs."""

import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_arrays(content: bytes) -> Any:
    """Dicts, lists, tuples, numbers, strings and NumPy arrays from a pickle; Python 2's strings as bytes.

    Raises `pickle.UnpicklingError` for a pickle that refers to anything else, and any exception for damaged content.
    """
    return _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = LOOKUPS.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which a batch of images does not need")
        return known


def _dtype(spec: Any, align: Any = False, copy: Any = False) -> np.dtype[Any]:
    """`numpy.dtype`, also with the 0 and 1 that old pickles have for False and True."""
    return np.dtype(spec, bool(align), bool(copy))


def _scalar(dtype: np.dtype[Any], content: bytes) -> Any:
    return np.frombuffer(content, dtype=dtype, count=1)[0]


def _from_buffer(content: Any, dtype: np.dtype[Any], shape: Any, order: Any) -> NDArray:
    return np.frombuffer(content, dtype=dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as protocols 0 to 2 write them from Python 3."""
    return text.encode(encoding)


LOOKUPS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "bytes"): bytes,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "bytes"): bytes,
    ("builtins", "bytearray"): bytearray,
}
"""All that a pickle may look up, with NumPy's modules by their names before version 2."""
