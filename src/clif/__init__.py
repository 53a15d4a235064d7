"""clif: train, measure and deploy spiking neural networks with the CLIF neuron.

Names are imported on first use (PEP 562), so the command line prints `--help` without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from clif.version import __version__ as __version__

if TYPE_CHECKING:
    from clif import analysis as analysis
    from clif import data as data
    from clif import deploy as deploy
    from clif import energy as energy
    from clif import evaluation as evaluation
    from clif import export as export
    from clif import functional as functional
    from clif import loss as loss
    from clif import memory as memory
    from clif import models as models
    from clif import precision as precision
    from clif import surrogate as surrogate
    from clif import train as train
    from clif.conversion import convert as convert
    from clif.models.wrapped import wrap as wrap
    from clif.neurons import ALIFNode as ALIFNode
    from clif.neurons import ARLIFNode as ARLIFNode
    from clif.neurons import CLIFNode as CLIFNode
    from clif.neurons import CLIFTauNode as CLIFTauNode
    from clif.neurons import EIFNode as EIFNode
    from clif.neurons import GLIFNode as GLIFNode
    from clif.neurons import IFNode as IFNode
    from clif.neurons import IzhikevichNode as IzhikevichNode
    from clif.neurons import KLIFNode as KLIFNode
    from clif.neurons import LIFNode as LIFNode
    from clif.neurons import PLIFNode as PLIFNode
    from clif.neurons import SpikingNeuron as SpikingNeuron
    from clif.neurons import backend_for as backend_for
    from clif.neurons import detach_net as detach_net
    from clif.neurons import register_neuron as register_neuron
    from clif.neurons import reset_net as reset_net
    from clif.neurons import set_backend as set_backend
    from clif.neurons import set_checkpoint_blocks as set_checkpoint_blocks
    from clif.neurons import set_fuse_norm as set_fuse_norm
    from clif.neurons import set_keep_state as set_keep_state
    from clif.neurons import set_pack_spikes as set_pack_spikes
    from clif.neurons import set_step_mode as set_step_mode
    from clif.ops.dispatch import backends as backends
    from clif.train.checkpoint import load as load

_MODULES = (
    "analysis",
    "data",
    "deploy",
    "energy",
    "errors",
    "evaluation",
    "experiment",
    "export",
    "functional",
    "layers",
    "loss",
    "memory",
    "models",
    "neurons",
    "precision",
    "report",
    "surrogate",
    "train",
)
_NAMES = {
    "ALIFNode": "neurons",
    "ARLIFNode": "neurons",
    "EIFNode": "neurons",
    "GLIFNode": "neurons",
    "IzhikevichNode": "neurons",
    "CLIFNode": "neurons",
    "CLIFTauNode": "neurons",
    "IFNode": "neurons",
    "KLIFNode": "neurons",
    "LIFNode": "neurons",
    "PLIFNode": "neurons",
    "SpikingNeuron": "neurons",
    "backend_for": "neurons",
    "backends": "ops.dispatch",
    "convert": "conversion",
    "detach_net": "neurons",
    "register_neuron": "neurons",
    "reset_net": "neurons",
    "set_backend": "neurons",
    "set_checkpoint_blocks": "neurons",
    "set_fuse_norm": "neurons",
    "set_keep_state": "neurons",
    "set_pack_spikes": "neurons",
    "set_step_mode": "neurons",
    "load": "train.checkpoint",
    "wrap": "models.wrapped",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"clif.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"clif.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'clif' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
