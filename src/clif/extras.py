"""Optional packages, and the extras that install them."""

import importlib
from types import ModuleType

from clif.errors import InputError

EXTRAS = {
    "faery": "events",
    "h5py": "events",
    "nir": "nir",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
}
"""The extra of clif-snn that installs each package."""


def require(package: str, wanted: str = "this") -> ModuleType:
    """Import an optional package; raises `InputError` with the command that installs it if it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(
            f"{wanted} needs the package {package}, which is not installed: pip install 'clif-snn[{EXTRAS[package]}]'"
        ) from None
