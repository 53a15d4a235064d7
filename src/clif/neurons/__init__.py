"""Spiking neurons as PyTorch modules, and the functions that act on all neurons of a network."""

from clif.neurons.alif import ALIFNode
from clif.neurons.arlif import ARLIFNode
from clif.neurons.base import SpikingNeuron
from clif.neurons.checkpoint_blocks import set_checkpoint_blocks
from clif.neurons.clif import CLIFNode
from clif.neurons.clif_tau import CLIFTauNode
from clif.neurons.eif import EIFNode
from clif.neurons.exchange import exchange_neurons
from clif.neurons.glif import GLIFNode
from clif.neurons.gradient_window import set_gradient_window, set_tbptt
from clif.neurons.if_ import IFNode
from clif.neurons.izhikevich import IzhikevichNode
from clif.neurons.klif import KLIFNode
from clif.neurons.lif import LIFNode
from clif.neurons.net import (
    backend_for,
    detach_net,
    reset_net,
    set_backend,
    set_fuse_norm,
    set_keep_state,
    set_pack_spikes,
    set_step_mode,
)
from clif.neurons.plif import PLIFNode
from clif.neurons.registry import register_neuron

__all__ = [
    "ALIFNode",
    "ARLIFNode",
    "CLIFNode",
    "CLIFTauNode",
    "EIFNode",
    "GLIFNode",
    "IFNode",
    "IzhikevichNode",
    "KLIFNode",
    "LIFNode",
    "PLIFNode",
    "SpikingNeuron",
    "backend_for",
    "detach_net",
    "exchange_neurons",
    "register_neuron",
    "reset_net",
    "set_backend",
    "set_checkpoint_blocks",
    "set_fuse_norm",
    "set_gradient_window",
    "set_keep_state",
    "set_pack_spikes",
    "set_step_mode",
    "set_tbptt",
]
