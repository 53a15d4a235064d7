"""Trained networks for other tools: NIR graphs, ONNX files, torch.export programs."""

from clif.export.nir import to_nir
from clif.export.onnx import to_onnx
from clif.export.program import Signature, initial_state, save_program, signature, to_program
from clif.export.read_nir import NIRNetwork, from_nir
from clif.export.weights import to_safetensors
from clif.names import FORMS

__all__ = [
    "FORMS",
    "NIRNetwork",
    "Signature",
    "from_nir",
    "initial_state",
    "save_program",
    "signature",
    "to_nir",
    "to_onnx",
    "to_program",
    "to_safetensors",
]
