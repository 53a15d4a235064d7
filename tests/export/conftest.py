"""Small networks whose arithmetic is exact, so that other implementations must agree to the last spike."""

import pytest
import torch

from clif.models.network import neuron_factory
from clif.models.plain import PlainSNN
from clif.neurons import SpikingNeuron


@pytest.fixture
def exact_network():
    """Makes a small PlainSNN whose weights are multiples of 1/8 and whose batch norms scale by powers of two."""

    def make(neuron: str = "LIF", tau: float = 2.0, pools: bool = True, **options) -> PlainSNN:
        rng = torch.Generator().manual_seed(1)
        factory = neuron_factory(neuron, tau, "rectangle", **options)
        layers = [(4, 3, 1), "pool", (6, 3, 2)] if pools else [(4, 3, 1), (6, 3, 2)]
        net = PlainSNN(layers, factory, 3, 2, T=4, drop_rate=0.0, image_size=8)
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                for parameter in module.parameters():
                    parameter.data = torch.randint(-4, 5, parameter.shape, generator=rng) / 8
            if isinstance(module, torch.nn.BatchNorm2d):
                n = len(module.weight)
                module.weight.data = 2.0 ** torch.randint(-1, 2, (n,), generator=rng)
                module.bias.data = torch.randint(-2, 5, (n,), generator=rng) / 8
                module.running_mean.data = torch.randint(-2, 3, (n,), generator=rng) / 8
                module.running_var.fill_(1 - module.eps)
                module.eps = 1 - module.running_var[0].item()
        return net.eval()

    return make


@pytest.fixture
def exact_input() -> torch.Tensor:
    """[T, N, C, H, W] of quarters, with another image at each step."""
    return torch.randint(-2, 8, (4, 3, 2, 8, 8), generator=torch.Generator().manual_seed(2)) / 4


@pytest.fixture
def spikes_of():
    """Runs a network and returns the logits and the spikes of each spiking layer, in the order of the layers."""

    @torch.no_grad()
    def run(net, x):
        fired = []
        neurons = [m for m in net.modules() if isinstance(m, SpikingNeuron)]
        handles = [m.register_forward_hook(lambda _m, _i, out: fired.append(out)) for m in neurons]
        logits = net(x)
        for handle in handles:
            handle.remove()
        return logits, fired

    return run
