"""Packages that only exports need."""

import importlib
from types import ModuleType

from clif.errors import InputError

EXTRAS = {"nir": "nir", "onnx": "onnx", "onnxscript": "onnx", "onnxruntime": "onnx"}


def require(package: str) -> ModuleType:
    """Import an optional package; raises `InputError` with the command that installs it where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(
            f"this needs the package {package}, which is not installed: pip install 'clif-snn[{EXTRAS[package]}]'"
        ) from None
