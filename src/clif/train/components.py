"""The network of a run, and its call in a training step."""

import torch
from torch import Tensor, nn

from clif.data import Dataset, open_dataset
from clif.errors import InputError
from clif.models import SpikingNetwork, create_model
from clif.models.network import step_by_step
from clif.neurons import reset_net, set_checkpoint_blocks
from clif.neurons.gradient_window import set_gradient_window
from clif.train.config import TrainConfig


def data_of(config: TrainConfig) -> Dataset:
    """The configured data set, as described by its name or its folder."""
    return open_dataset(config.dataset, config.data_dir, config.data_options())


def check_images(config: TrainConfig) -> None:
    """Raise `InputError` if options for images are given for recordings."""
    for name in ("T_stages", "size_stages", "whiten"):
        if getattr(config, name) and data_of(config).events:
            raise InputError(f"{name} is for images; {config.dataset} has recordings of T frames")


def make_net(config: TrainConfig) -> SpikingNetwork:
    """The configured network for the configured data, with weights drawn from the seed."""
    torch.manual_seed(config.seed)
    dataset = data_of(config)
    net = create_model(
        config.model,
        neuron=config.neuron,
        num_classes=dataset.num_classes,
        in_channels=dataset.in_channels,
        T=config.T,
        tau=config.tau,
        surrogate=config.surrogate,
        drop_rate=config.drop_rate,
        image_size=dataset.image_size,
    ).to(getattr(torch, config.dtype))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as its layers compute
    set_gradient_window(net, config.gradient_window or None)
    if config.checkpoint_blocks:
        set_checkpoint_blocks(net, True)
    return net


class Computation(nn.Module):
    """The call of the network in a training step: x [N, …] or [T, N, …] -> logits [T, N, classes].

    A module that is not a `SpikingNetwork` is reset first; if it returns [N, classes], T is 1.
    """

    def __init__(self, net: nn.Module, multiple_step: bool) -> None:
        super().__init__()
        self.net = net
        self.multiple_step = multiple_step

    def forward(self, images: Tensor) -> Tensor:
        if isinstance(self.net, SpikingNetwork):
            logits: Tensor = self.net(images) if self.multiple_step else step_by_step(self.net, images)
            return logits
        reset_net(self.net)
        logits = self.net(images)
        if not isinstance(logits, Tensor) or logits.dim() not in (2, 3):
            given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"the network must give logits [T, N, classes] or [N, classes], got {given}")
        return logits if logits.dim() == 3 else logits[None]
