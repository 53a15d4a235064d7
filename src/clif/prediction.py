"""Predictions of a trained network for single images and recordings, after each time step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from clif.data.base import Dataset
from clif.data.sample import read_sample
from clif.errors import InputError
from clif.layers import repeat_image
from clif.models import SpikingNetwork
from clif.neurons.net import evaluating


@dataclass(frozen=True)
class Prediction:
    """The probabilities [T, classes] of a sample after each time step, and the sample that was shown [T, C, H, W].

    After step t they are the softmax of the mean logits of the steps up to t, so the last row is the network's answer.
    """

    path: Path
    classes: tuple[str, ...]
    probabilities: Tensor
    frames: Tensor

    def best(self, step: int = -1, number: int = 1) -> list[tuple[str, float]]:
        """The most probable classes after a step, with their probabilities."""
        values, indices = self.probabilities[step].topk(min(number, len(self.classes)))
        return [(self.classes[i], p) for p, i in zip(values.tolist(), indices.tolist(), strict=True)]


@torch.no_grad()
def predict_files(
    net: SpikingNetwork, dataset: Dataset, paths: Sequence[Path], sort_events: bool = False
) -> list[Prediction]:
    """Predictions for images or recordings, read as `dataset` says (`read_sample`), one after the other.

    The network computes in eval mode, on its device. Raises `InputError` for a file that cannot be read, before any
    is computed, and for a data set with another number of classes than the network.
    """
    if (classes := net.config["num_classes"]) != dataset.num_classes:
        raise InputError(
            f"the network has {classes} classes, the data set {dataset.name} has {dataset.num_classes}; give the data "
            "set of its training"
        )
    weight = next(net.parameters())
    samples = [read_sample(dataset, path, net.T, sort_events) for path in paths]
    with evaluating(net):
        return [_predict(net, dataset, path, sample.to(weight)) for path, sample in zip(paths, samples, strict=True)]


def _predict(net: SpikingNetwork, dataset: Dataset, path: Path, sample: Tensor) -> Prediction:
    frames = sample[:, None] if sample.dim() == 4 else repeat_image(sample[None], net.T)
    logits = net(frames)[:, 0].double()
    steps = torch.arange(1, len(logits) + 1, device=logits.device)[:, None]
    probabilities = (logits.cumsum(0) / steps).softmax(-1)
    return Prediction(path, dataset.classes, probabilities.cpu(), frames[:, 0].cpu())
