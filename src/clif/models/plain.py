"""Plain stacks: VGGSNN for event cameras, the CLIF paper's five-layer networks (Figure 2), and fast ones."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from clif.layers import AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten
from clif.models.network import NeuronFactory, SpikingNetwork, feature_size, init_convolutions
from clif.models.registry import register_model
from clif.neurons.blocks import fire
from clif.sizes import Size


class ConvLayer(nn.Module):
    """convolution -> batch norm -> neuron."""

    def __init__(self, in_channels: int, width: int, kernel_size: int, stride: int, neuron: NeuronFactory) -> None:
        super().__init__()
        self.fwd = nn.Sequential(Conv2d(in_channels, width, kernel_size, stride, padding=1), BatchNorm2d(width))
        self.act = neuron(width)

    def forward(self, x: Tensor) -> Tensor:
        convolution, norm = self.fwd
        return fire(self.act, norm, convolution(x))


Entry = tuple[int, int, int] | str


class PlainSNN(SpikingNetwork):
    """`stack` lists the layers: (width, kernel size, stride) for a `ConvLayer`, "pool" for a 2×2 average pool.

    The classifier sees every pixel of the last layer or, with `pool_all`, the mean over them, at any image size.
    """

    def __init__(
        self,
        stack: list[Entry],
        neuron: NeuronFactory,
        num_classes: int,
        in_channels: int,
        T: int,
        drop_rate: float,
        image_size: Size,
        pool_all: bool = False,
    ) -> None:
        super().__init__(T, in_channels, image_size, any_size=pool_all)
        layers: list[nn.Module] = []
        channels = in_channels
        for entry in stack:
            if isinstance(entry, str):
                layers.append(AvgPool2d(2))
            else:
                width, kernel_size, stride = entry
                layers.append(ConvLayer(channels, width, kernel_size, stride, neuron))
                channels = width
        if pool_all:
            layers.append(AdaptiveAvgPool2d(1))
        self.features = nn.Sequential(*layers)
        size = channels if pool_all else feature_size(self.features, in_channels, image_size)
        self.classifier = nn.Linear(size, num_classes)
        self.drop = nn.Sequential(Flatten(), Dropout(drop_rate, step_mode="m"))
        init_convolutions(self)

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier(self.drop(self.features(x)))


@register_model
def vggsnn(**kwargs: Any) -> PlainSNN:
    """VGGSNN (Deng et al., "Temporal Efficient Training", 2022): eight 3×3 convolutions, four average pools.

    Made for CIFAR10-DVS: frames [T, N, 2, 48, 48] (in_channels=2, image_size=48); at least 16×16 pixels.
    9.25 M parameters for 10 classes of 32×32 colour images.
    """
    head: list[Entry] = [(64, 3, 1), (128, 3, 1), "pool", (256, 3, 1), (256, 3, 1), "pool"]
    tail: list[Entry] = [(512, 3, 1), (512, 3, 1), "pool"] * 2
    return PlainSNN([*head, *tail], **kwargs)


@register_model
def snn5(**kwargs: Any) -> PlainSNN:
    """Five convolutions (Huang et al., 2024, Figure 2) with average pools; 32×32, at least 30×30 pixels.

    2.24 M parameters for 10 classes of 32×32 colour images.
    """
    tail: list[Entry] = [(128, 5, 1), "pool", (256, 5, 1), "pool", (512, 3, 1), "pool"]
    return PlainSNN([(16, 3, 1), (64, 5, 1), "pool", *tail], **kwargs)


@register_model
def snn5_noAP(**kwargs: Any) -> PlainSNN:
    """Five convolutions (Huang et al., 2024, Figure 2) with strides instead of pools; 32×32, at least 15×15 pixels.

    1.64 M parameters for 10 classes of 32×32 colour images.
    """
    return PlainSNN([(16, 3, 1), (64, 5, 2), (128, 5, 2), (256, 5, 4), (256, 3, 2)], **kwargs)


@register_model
def snn4(**kwargs: Any) -> PlainSNN:
    """Four 3×3 convolutions with strides instead of pools and a global average pool; any size, made for 32×32.

    Small: 0.24 M parameters for 10 classes of 32×32 colour images.
    """
    return PlainSNN([(32, 3, 2), (64, 3, 2), (128, 3, 2), (128, 3, 1)], **kwargs, pool_all=True)


@register_model
def snn7(**kwargs: Any) -> PlainSNN:
    """Seven 3×3 convolutions with strides and a global average pool; any size, made for 32×32 (CIFAR).

    The network of the recipe cifar10_fast. 2.29 M parameters for 10 classes of 32×32 colour images.
    """
    return _seven(64, (128, 256, 256), **kwargs)


@register_model
def snn7_wide(**kwargs: Any) -> PlainSNN:
    """`snn7` with wider layers, up to 288 instead of 256 channels.

    The network of the recipe cifar10_wide. 3.25 M parameters for 10 classes of 32×32 colour images.
    """
    return _seven(96, (192, 288, 288), **kwargs)


def _seven(first: int, widths: Sequence[int], **kwargs: Any) -> PlainSNN:
    """A convolution to `first` channels, and for each of the `widths` one with stride 2 and one without."""
    stages: list[Entry] = [(width, 3, stride) for width in widths for stride in (2, 1)]
    return PlainSNN([(first, 3, 1), *stages], **kwargs, pool_all=True)
