"""The memory that a neuron layer keeps between forward and backward: its input, and nothing twice."""

import pytest
import torch
from torch import nn

import clif
from clif import layers
from clif.ops import cpu

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

SHAPE = (4, 2, 8, 6, 6)


class Kept:
    """Hooks on the tensors that autograd saves; `storages` are those of at least the size of a sequence."""

    def __init__(self):
        self.storages = {}

    def __enter__(self):
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error):
        self.hooks.__exit__(*error)

    def _keep(self, tensor):
        storage = tensor.untyped_storage()
        if storage.nbytes() >= 2 * torch.Size(SHAPE).numel() and not isinstance(tensor, nn.Parameter):
            self.storages[storage.data_ptr()] = tensor
        return tensor


def pointer(tensor):
    return tensor.untyped_storage().data_ptr()


def inputs(layout, dtype):
    x = torch.randn(SHAPE).to(dtype)
    return x.flatten(0, 1).contiguous(memory_format=layout).unflatten(0, SHAPE[:2])


@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def test_the_spikes_that_the_next_convolution_saves_are_the_neurons_output(neuron, layout, dtype):
    node = getattr(clif, f"{neuron}Node")(step_mode="m")
    convolution = layers.Conv2d(8, 4, 3).to(dtype, memory_format=layout)
    x_seq = inputs(layout, dtype).requires_grad_()
    with Kept() as kept:
        spikes = node(x_seq)
        y = convolution(spikes)
    assert set(kept.storages) == {pointer(x_seq), pointer(spikes)}
    y.sum().backward()
    assert x_seq.grad.any()


@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
def test_a_neuron_layer_keeps_one_tensor(neuron):
    """Convolution, batch norm and neuron keep the input of each, and the spikes for the next layer."""
    node = getattr(clif, f"{neuron}Node")(step_mode="m")
    first, norm, last = layers.Conv2d(8, 8, 3, padding=1), layers.BatchNorm2d(8), layers.Conv2d(8, 4, 3)
    image = inputs(torch.channels_last, torch.float32)
    with Kept() as kept:
        current = first(image)
        normalised = norm(current)
        spikes = node(normalised)
        last(spikes)
    named = {pointer(t): name for name, t in locals().items() if name in ("image", "current", "normalised", "spikes")}
    assert sorted(named.get(p, "unknown") for p in kept.storages) == ["current", "image", "normalised", "spikes"]
