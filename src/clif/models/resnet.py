"""Spiking pre-activation ResNets (He et al., 2016, with neurons instead of ReLU), as in the CLIF paper."""

from typing import Any

from torch import Tensor, nn
from torch.autograd import Function

from clif.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, has_hooks
from clif.models.network import NeuronFactory, SpikingNetwork, init_convolutions
from clif.models.registry import register_model
from clif.neurons.blocks import fire
from clif.neurons.checkpointing import checkpoint_block
from clif.sizes import Size

Layers = tuple[nn.Module, ...]


class BasicBlock(nn.Module):
    """neuron(bn(x)) -> 3×3 -> bn, neuron, dropout -> 3×3, added to the shortcut of the activated x."""

    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int, neuron: NeuronFactory, drop_rate: float) -> None:
        super().__init__()
        self.bn1 = BatchNorm2d(in_planes)
        self.conv1 = Conv2d(in_planes, planes, 3, stride, padding=1)
        self.bn2 = BatchNorm2d(planes)
        self.conv2 = Conv2d(planes, planes, 3, padding=1)
        self.shortcut = _shortcut(in_planes, planes, stride)
        self.relu1 = neuron(in_planes)
        self.relu2 = neuron(planes)
        self.dropout = Dropout(drop_rate, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        x = fire(self.relu1, self.bn1, x)
        out = self.conv1(x)
        out = self.conv2(self.dropout(fire(self.relu2, self.bn2, out)))
        return out + self.shortcut(x)

    def hidden(self) -> list[Layers]:
        """The layers after `relu1` up to the neurons inside."""
        return [(self.conv1, self.bn2, self.relu2)]

    def last(self) -> Layers:
        """The layers after these; their output is added to the shortcut."""
        return self.dropout, self.conv2


class Bottleneck(nn.Module):
    """neuron(bn(x)) -> 1×1 (stride) -> bn, neuron -> 3×3 -> bn, neuron, dropout -> 1×1, added to the shortcut."""

    expansion = 4

    def __init__(self, in_planes: int, planes: int, stride: int, neuron: NeuronFactory, drop_rate: float) -> None:
        super().__init__()
        self.bn1 = BatchNorm2d(in_planes)
        self.conv1 = Conv2d(in_planes, planes, 1, stride)
        self.bn2 = BatchNorm2d(planes)
        self.conv2 = Conv2d(planes, planes, 3, padding=1)
        self.bn3 = BatchNorm2d(planes)
        self.conv3 = Conv2d(planes, 4 * planes, 1)
        self.shortcut = _shortcut(in_planes, 4 * planes, stride)
        self.relu1 = neuron(in_planes)
        self.relu2 = neuron(planes)
        self.relu3 = neuron(planes)
        self.dropout = Dropout(drop_rate, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        x = fire(self.relu1, self.bn1, x)
        out = self.conv1(x)
        out = self.conv2(fire(self.relu2, self.bn2, out))
        out = self.conv3(self.dropout(fire(self.relu3, self.bn3, out)))
        return out + self.shortcut(x)

    def hidden(self) -> list[Layers]:
        """The layers after `relu1` up to the neurons inside."""
        return [(self.conv1, self.bn2, self.relu2), (self.conv2, self.bn3, self.relu3)]

    def last(self) -> Layers:
        """The layers after these; their output is added to the shortcut."""
        return self.dropout, self.conv3


def _shortcut(in_planes: int, out_planes: int, stride: int) -> nn.Module:
    if stride == 1 and in_planes == out_planes:
        return nn.Identity()
    return Conv2d(in_planes, out_planes, 1, stride)


class SpikingResNet(SpikingNetwork):
    """conv 3×3 -> four stages of blocks -> bn, neuron -> global average pool -> dropout -> linear.

    The original pools 4×4, which is the whole map for its 32×32 images; clif pools the whole map for any image size.
    """

    checkpoint_blocks = False

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        num_blocks: tuple[int, int, int, int],
        neuron: NeuronFactory,
        num_classes: int,
        in_channels: int,
        T: int,
        drop_rate: float,
        image_size: Size,
    ) -> None:
        super().__init__(T, in_channels, image_size, any_size=True)
        self.conv1 = Conv2d(in_channels, 64, 3, padding=1, bias=False)
        planes = 64
        for stage, (blocks, width) in enumerate(zip(num_blocks, (64, 128, 256, 512), strict=True), start=1):
            layers = []
            for i in range(blocks):
                stride = 2 if stage > 1 and i == 0 else 1
                layers.append(block(planes, width, stride, neuron, drop_rate))
                planes = width * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.bn1 = BatchNorm2d(planes)
        self.linear = nn.Linear(planes, num_classes)
        self.relu1 = neuron(planes)
        self.dropout = Dropout(drop_rate, step_mode="m")
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()

        init_convolutions(self)
        nn.init.zeros_(self.linear.bias)

    def logits(self, x: Tensor) -> Tensor:
        if self.checkpoint_blocks:
            x = self._by_block(x)
        else:
            x = self.conv1(x)
            for stage in range(1, 5):
                x = self.get_submodule(f"layer{stage}")(x)
            x = fire(self.relu1, self.bn1, x)
        return self.linear(self.dropout(self.flatten(self.avgpool(x))))

    def _by_block(self, x: Tensor) -> Tensor:
        """The spikes of the last neuron, with activation checkpointing from spikes to spikes.

        Each block begins with a norm and a neuron, so these are checkpointed with the layers before them.
        """
        blocks: Any = [block for stage in range(1, 5) for block in self.get_submodule(f"layer{stage}").children()]
        ends = [*((block.bn1, block.relu1) for block in blocks), (self.bn1, self.relu1)]
        spikes = _checkpointed((self.conv1, *ends[0]), None, x)
        for block, end in zip(blocks, ends[1:], strict=True):
            inside = spikes
            for layers in block.hidden():
                inside = _checkpointed(layers, None, inside)
            spikes = _checkpointed((*block.last(), *end), block.shortcut, inside, spikes)
        return spikes


def _add_into(x: Tensor, y: Tensor) -> Tensor:
    """x + y, written to the memory of x, which must not be read afterwards."""
    return _AddInto.apply(x, y) if x.dtype == y.dtype and x.shape == y.shape else x + y


class _AddInto(Function):
    @staticmethod
    def forward(ctx, x, y):
        del ctx
        return x.detach().add_(y)

    @staticmethod
    def backward(ctx, d_sum):
        del ctx
        return d_sum, d_sum


def _checkpointed(layers: Layers, shortcut: nn.Module | None, *inputs: Tensor) -> Tensor:
    """Layers as a checkpointed block that ends with a norm and a neuron, before which the shortcut is added."""
    *first, norm, neuron = layers

    def compute(x: Tensor, spikes: Tensor | None = None) -> Tensor:
        for layer in first:
            x = layer(x)
        if shortcut is not None and spikes is not None:
            x = _add_into(x, shortcut(spikes)) if not has_hooks(first[-1]) else x + shortcut(spikes)
        return fire(neuron, norm, x)

    return checkpoint_block([*layers, *([shortcut] if shortcut else [])], compute, *inputs, last=neuron)


@register_model
def spiking_resnet18(**kwargs: Any) -> SpikingResNet:
    """ResNet-18 (He et al., 2016): two basic blocks per stage; images of any size, made for 32×32 (CIFAR).

    11.18 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


@register_model
def spiking_resnet34(**kwargs: Any) -> SpikingResNet:
    """ResNet-34 (He et al., 2016): 3, 4, 6 and 3 basic blocks; images of any size, made for 32×32.

    21.29 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


@register_model
def spiking_resnet50(**kwargs: Any) -> SpikingResNet:
    """ResNet-50 (He et al., 2016): 3, 4, 6 and 3 bottlenecks; images of any size, made for 32×32.

    23.54 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


@register_model
def spiking_resnet101(**kwargs: Any) -> SpikingResNet:
    """ResNet-101 (He et al., 2016): 3, 4, 23 and 3 bottlenecks; images of any size, made for 32×32.

    42.56 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


@register_model
def spiking_resnet152(**kwargs: Any) -> SpikingResNet:
    """ResNet-152 (He et al., 2016): 3, 8, 36 and 3 bottlenecks; images of any size, made for 32×32.

    58.22 M parameters for 10 classes of 32×32 colour images.
    """
    return SpikingResNet(Bottleneck, (3, 8, 36, 3), **kwargs)
