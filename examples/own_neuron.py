"""Neurons of your own, each declared once: trained, exported and benchmarked by their names.

clif bench neuron --import examples/own_neuron.py --neuron InputGateLIF
clif train --import examples/own_neuron.py --neuron ChannelLeakLIF --dataset digits --model snn5_noAP
"""

import torch

import clif


@clif.register_neuron("InputGateLIF")
class InputGateLIFNode(clif.SpikingNeuron):
    """LIF whose input passes a gate g; every spike closes it, and it opens again, as in synaptic depression:

    u = v·(1 − 1/τ) + 2σ(g)·x;   s = Θ(u − v_threshold);   v = u − s·v_threshold;   g ← g·(1 − 1/τ) − s
    """

    states = {"v": 0.0, "g": 0.0}

    def __init__(self, tau=2.0, **options):
        super().__init__(**options)
        self.tau = tau

    def step(self, x, v, g):
        decay = 1 - 1 / self.tau
        u = v * decay + 2 * torch.sigmoid(g) * x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike), g * decay - spike


@clif.register_neuron("ChannelLeakLIF")
class ChannelLeakLIFNode(clif.SpikingNeuron):
    """LIF that learns a leak per channel: u = v·σ(k) + x; k [C] starts at 0."""

    states = {"v": 0.0}
    learnable = {"k": "channel"}

    def __init__(self, channels, **options):
        super().__init__(**options)
        self.k = torch.nn.Parameter(torch.zeros(channels))

    def step(self, x, v, k):
        u = v * torch.sigmoid(k) + x
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)
