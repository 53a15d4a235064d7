"""Spiking VGGs with batch norm: five stages of convolutions, each ended by an average pool."""

from typing import Any

from torch import Tensor, nn

from clif.errors import InputError
from clif.layers import AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten
from clif.models.network import NeuronFactory, SpikingNetwork, init_convolutions
from clif.models.registry import register_model
from clif.neurons.blocks import ConvBlock, by_block
from clif.sizes import Size, height_width


class SpikingVGG(SpikingNetwork):
    """`widths` lists the convolutions of each stage; the map is pooled to 7×7 before the linear layer, as in VGG."""

    checkpoint_blocks = False

    def __init__(
        self,
        widths: list[list[int]],
        neuron: NeuronFactory,
        num_classes: int,
        in_channels: int,
        T: int,
        drop_rate: float,
        image_size: Size,
    ) -> None:
        super().__init__(T, in_channels, image_size, any_size=True)
        if min(height_width(image_size)) < 32:
            raise InputError(f"a spiking VGG halves the image five times and needs image_size ≥ 32, got {image_size}")
        channels = in_channels
        for stage, stage_widths in enumerate(widths, start=1):
            layers: list[nn.Module] = []
            for width in stage_widths:
                layers += [Conv2d(channels, width, 3, padding=1), BatchNorm2d(width), neuron(width)]
                layers.append(Dropout(drop_rate, step_mode="m"))
                channels = width
            self.add_module(f"layer{stage}", ConvBlock(*layers, AvgPool2d(2)))
        self.avgpool = AdaptiveAvgPool2d(7)
        linear = nn.Linear(channels * 7 * 7, num_classes)
        self.classifier = nn.Sequential(Flatten(), linear)

        init_convolutions(self, zero_bias=True)
        nn.init.normal_(linear.weight, 0, 0.01)
        nn.init.zeros_(linear.bias)

    def logits(self, x: Tensor) -> Tensor:
        stages = [self.get_submodule(f"layer{stage}") for stage in range(1, 6)]
        if self.checkpoint_blocks:
            x = by_block(stages, x)
        else:
            for stage in stages:
                x = stage(x)
        return self.classifier(self.avgpool(x))


@register_model
def spiking_vgg11_bn(**kwargs: Any) -> SpikingVGG:
    """VGG-11 (Simonyan & Zisserman, 2015): 8 convolutions, one linear layer; images from 32×32.

    The CLIF paper uses it for event frames [T, N, 2, H, W]: 48×48 of CIFAR10-DVS, 128×128 of DVS128 Gesture.
    9.48 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingVGG([[64], [128], [256] * 2, [512] * 2, [512] * 2], **kwargs)


@register_model
def spiking_vgg13_bn(**kwargs: Any) -> SpikingVGG:
    """VGG-13 (Simonyan & Zisserman, 2015): 10 convolutions, one linear layer; images from 32×32.

    The CLIF paper uses it for the 64×64 images of Tiny-ImageNet.
    9.66 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingVGG([[64] * 2, [128] * 2, [256] * 2, [512] * 2, [512] * 2], **kwargs)


@register_model
def spiking_vgg16_bn(**kwargs: Any) -> SpikingVGG:
    """VGG-16 (Simonyan & Zisserman, 2015): 13 convolutions, one linear layer; images from 32×32.

    14.97 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingVGG([[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3], **kwargs)


@register_model
def spiking_vgg19_bn(**kwargs: Any) -> SpikingVGG:
    """VGG-19 (Simonyan & Zisserman, 2015): 16 convolutions, one linear layer; images from 32×32.

    20.29 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingVGG([[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4], **kwargs)
