"""Spiking neurons as PyTorch modules, and the functions that act on all neurons of a network."""

from clif.neurons.base import SpikingNeuron
from clif.neurons.clif import CLIFNode
from clif.neurons.exchange import exchange_neurons
from clif.neurons.gradient_window import set_gradient_window, set_tbptt
from clif.neurons.lif import LIFNode
from clif.neurons.net import (
    detach_net,
    reset_net,
    set_backend,
    set_fuse_norm,
    set_keep_state,
    set_pack_spikes,
    set_step_mode,
)
from clif.neurons.plif import PLIFNode

__all__ = [
    "CLIFNode",
    "LIFNode",
    "PLIFNode",
    "SpikingNeuron",
    "detach_net",
    "exchange_neurons",
    "reset_net",
    "set_backend",
    "set_fuse_norm",
    "set_gradient_window",
    "set_keep_state",
    "set_pack_spikes",
    "set_step_mode",
    "set_tbptt",
]
