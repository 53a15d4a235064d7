"""First filters that whiten the patches of the training images, as in fast training of CIFAR-10 (Page, 2019)."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from clif.errors import InputError

EPSILON = 1e-2
"""Added to the variances, so that directions with almost no variance are not amplified to noise."""


def whitening_filters(images: Tensor, count: int, kernel_size: int, seed: int) -> Tensor:
    """`count` filters [count, C, k, k] of unit response on the k × k patches of images [N, C, H, W].

    They are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue, strongest first;
    then their negatives, because a spike shows only one sign; then random mixtures of them drawn from `seed`.
    """
    patches = F.unfold(images.double(), kernel_size).transpose(1, 2).flatten(0, 1)
    variance, directions = torch.linalg.eigh(torch.cov(patches.T).view(patches.shape[1], -1))
    whitening = (directions / (variance + EPSILON).sqrt()).T.flip(0)
    mixtures = torch.randn(max(count - 2 * len(whitening), 0), len(whitening), generator=Generator().manual_seed(seed))
    mixed = mixtures.double() @ whitening / len(whitening) ** 0.5
    filters = torch.cat([whitening, -whitening, mixed])[:count]
    return filters.view(count, images.shape[1], kernel_size, kernel_size).to(images.dtype)


@torch.no_grad()
def whiten_first_layer(net: nn.Module, images: Tensor, seed: int) -> None:
    """Set the first filters of `net` to `whitening_filters`. Raises `InputError` if it cannot take them."""
    first = next((module for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size[0] != first.kernel_size[1] or first.in_channels != images.shape[1]:
        raise InputError("whiten needs a network whose first layer is a convolution with square filters")
    first.weight.copy_(whitening_filters(images, first.out_channels, first.kernel_size[0], seed))
