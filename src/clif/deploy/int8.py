"""Convolutions with int8 weights: spikes are 0 or 1 and average pools make whole parts of them, so int8 activations
are exact and only the weights are rounded."""

from functools import partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clif.deploy.fold import Network, fold_batch_norm, replace
from clif.deploy.graph import Rounded, input_levels, layer_graph, layer_of
from clif.errors import InputError
from clif.int8_weights import to_int8
from clif.layers import fold
from clif.precision import pytorch_uses_bfloat16

MOST_LEVELS = 129
"""Without VNNI instructions oneDNN adds two products in 16 bits, and 2 · 129 · 127 is the largest sum that fits."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


class Int8Conv2d(Rounded):
    """A convolution of activations 0, 1/levels, … 1 with weights rounded to int8 per channel, by oneDNN.

    The sums are exact 32-bit integers; the result is float32 (or `dtype`) with the bias added. Inference on a CPU only;
    `.to()` does not change it. Its state dict has the rounded weights. Raises `InputError` for more than 129 levels.

    >>> conv = clif.deploy.Int8Conv2d(nn.Conv2d(16, 32, 3), levels=1)
    >>> conv((torch.rand(8, 16, 8, 8) < 0.2).float()).shape
    torch.Size([8, 32, 6, 6])
    """

    def __init__(self, conv: nn.Conv2d, levels: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if not 1 <= levels <= MOST_LEVELS:
            raise InputError(f"levels must be 1 to {MOST_LEVELS}, got {levels}")
        self.levels = levels
        self.dtype = dtype
        weight, scale = to_int8(conv.weight)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().float())
        self.zero = torch.zeros(len(weight), dtype=torch.int64)
        self.padding, zeros = paddings(conv)
        self.padding_mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        self.geometry = ([*conv.stride], zeros, [*conv.dilation])
        self.groups = conv.groups
        self._pack()
        self.register_load_state_dict_post_hook(_pack_again)

    def _pack(self) -> None:
        """Bring the weights into the order in which oneDNN reads them."""
        pack: Any = torch.ops.onednn.qconv_prepack
        self.packed = pack(self.weight, self.scale, 1 / self.levels, 0, *self.geometry, self.groups, None)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._pack()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:  # noqa: ARG002
        return self

    def forward(self, x: Tensor) -> Tensor:
        return fold(self._convolve, x)

    def _convolve(self, x: Tensor) -> Tensor:
        # Without bfloat16 instructions, oneDNN takes 100 times as long as for float32 and a cast, with equal results.
        dtype = self.dtype if pytorch_uses_bfloat16() else torch.float32
        if any(self.padding):
            x = F.pad(x, self.padding, self.padding_mode)
        run: Any = torch.ops.onednn.qconv2d_pointwise
        one_bit = self.levels == 1
        levels = x.bool().view(torch.uint8) if one_bit else (x.float() * self.levels).round().to(torch.uint8)
        result: tuple[Any, ...] = (1.0, 0, dtype, "none", [], "")
        arguments = (levels, 1 / self.levels, 0, self.packed, self.scale, self.zero, self.bias)
        return run(*arguments, *self.geometry, self.groups, *result).to(self.dtype)


def _pack_again(conv: Int8Conv2d, _keys: object) -> None:
    """After a state dict was loaded."""
    conv._pack()


def paddings(conv: nn.Conv2d) -> tuple[list[int], list[int]]:
    """The padding of a convolution, as `F.pad` takes it and as zeros that the convolution adds on both sides."""
    if isinstance(conv.padding, str):
        around = [
            d * (k - 1) if conv.padding == "same" else 0 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)
        ]
        sides = [(one // 2, one - one // 2) for one in around]
    else:
        sides = [(one, one) for one in conv.padding]
    if conv.padding_mode == "zeros" and all(before == after for before, after in sides):
        return [0] * 4, [before for before, _ in sides]
    return [*sides[1], *sides[0]], [0, 0]


def quantize_weights(net: Network, dtype: torch.dtype = torch.float32) -> Network:
    """A copy for inference on a CPU with folded batch norms and int8 weights in 2d convolutions of (pooled) spikes.

    If a pool averages so many neurons that its means have more than 129 levels, the convolution after it keeps its
    weights.

    Convolutions of other values, such as the image, and linear layers compute in float32. `dtype` is the dtype of the
    convolutions' output: bfloat16 is faster and rounds the input of the neurons. Load a state dict of the copy into
    another copy that was made in the same way. Raises `InputError` if PyTorch has no oneDNN.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> int8 = clif.deploy.quantize_weights(net)
    >>> int8(torch.rand(4, 3, 16, 16)).shape
    torch.Size([2, 4, 10])
    """
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qconv2d_pointwise")):
        raise InputError("int8 convolutions need a PyTorch for x86 CPUs with oneDNN; this one has none")
    folded = fold_batch_norm(net, rest="keep").cpu().float()
    graph = layer_graph(folded)
    for node in list(graph.graph.nodes):
        conv = layer_of(graph, node)
        if not isinstance(conv, nn.Conv2d):
            continue
        levels = input_levels(graph, node.all_input_nodes[0])
        if levels is not None and levels <= MOST_LEVELS:
            replace(folded, str(node.target), Int8Conv2d(conv, levels, dtype))
    for module in folded.modules():
        if isinstance(module, (nn.Linear, *CONVOLUTIONS)):
            module.register_forward_pre_hook(_in_its_dtype)
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(partial(_into_dtype, dtype))
    return folded


def _into_dtype(dtype: torch.dtype, _conv: nn.Module, _inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
    return y.to(dtype)


def _in_its_dtype(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """bfloat16 spikes for float32 weights."""
    x, *others = inputs
    return (x.to(next(layer.parameters()).dtype), *others)
