"""Trained networks for other tools: NIR graphs, ONNX files, torch.export programs."""

from clif.export.nir import to_nir
from clif.export.read_nir import NIRNetwork, from_nir

__all__ = ["NIRNetwork", "from_nir", "to_nir"]
