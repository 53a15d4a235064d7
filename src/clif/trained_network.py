"""A trained network from its checkpoint, with its configuration, and its evaluation on the test set."""

import logging
import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from clif.data import Dataset, Loader, create_loader
from clif.data.description import trained_on
from clif.data.registry import lies_in_folder
from clif.data_options import CHOSEN
from clif.devices import choose_device
from clif.errors import InputError
from clif.evaluation import Scores, evaluate
from clif.loss import Loss
from clif.models import SpikingNetwork
from clif.names import dataset_name, flag
from clif.precision import Precision, asked_for, common, warn_if_slow
from clif.train.checkpoint import build_network, load_weights, read_checkpoint
from clif.train.components import Computation
from clif.train.config import TrainConfig, resolve
from clif.train.engine import Engine, with_processes
from clif.train.losses import make_loss
from clif.user_code import needed_by

logger = logging.getLogger("clif.train")

NETWORK_OPTIONS = ("model", "neuron", "T", "tau", "surrogate", "drop_rate")


@dataclass(frozen=True)
class Opened:
    """A checkpoint in use: its network on the device, its configuration with the given options, and all its content.

    `dataset` describes the data that the network was trained on; for images of your own it needs no folder.
    """

    net: SpikingNetwork
    config: TrainConfig
    device: torch.device
    content: dict[str, Any]
    dataset: Dataset
    path: str = "the checkpoint"

    def loader(self, **options: Any) -> Loader:
        """Batches of the configured data, with further `options` of `create_loader` for this network."""
        config = self.config
        common: dict[str, Any] = {"batch_size": config.b, "T": self.net.T, "device": self.device, "workers": config.j}
        reading = config.reading()
        if self.dataset.has_files:
            del reading["options"]
        return create_loader(self.dataset, config.data_dir, **{**common, **reading, **options})

    def loss(self) -> Loss:
        """The configured loss on the device; its own parameters are those of the checkpoint if that has this loss."""
        loss = make_loss(self.config)
        if isinstance(loss, nn.Module):
            loss.to(self.device, next(self.net.parameters()).dtype)
            if "loss_state" in self.content and self.config.loss == self.content.get("config", {}).get("loss"):
                load_weights(loss, self.content["loss_state"], self.path)
        return loss


def open_checkpoint(path: str | os.PathLike[str], given: dict[str, Any], exact: bool = False) -> Opened:
    """Read a checkpoint of clif or the original; `given` are options of `TrainConfig` that replace its own.

    The network is in float32 or, with `exact`, in the `dtype` given or else that of its weights.
    """
    content = read_checkpoint(path)
    said = content.get("config", {})
    if "dataset" in given and dataset_name(given["dataset"]) != said.get("dataset"):
        said = {key: value for key, value in said.items() if key not in CHOSEN}
    try:
        with needed_by(content.get("imports"), str(path)):
            config = resolve(**{**said, "devices": 1, "nodes": 1, **given})
    except InputError as error:
        if str(path) in str(error) or any(name in str(error) for name in given):
            raise
        raise type(error)(f"{path}: {error}") from error
    device = choose_device(config.device)
    dataset = trained_on(content.get("data"), config.dataset, config.data_dir, config.data_options(), str(path))
    if "loaders" in content.get("own", []) and "dataset" not in given:
        logger.warning("%s: was trained on your own loaders; its options name the data %s", path, config.dataset)
    if "data_dir" not in given and lies_in_folder(config.dataset):
        _warn_of_other_split(str(path), said, given)
    network: dict[str, Any] = {key: value for key, value in given.items() if key in NETWORK_OPTIONS}
    if "model" not in content:
        network |= {"T": config.T, "tau": config.tau, "image_size": dataset.image_size}
    net = build_network(content, str(path), **network)
    dtype = torch.float32
    if exact:
        dtype = getattr(torch, given["dtype"]) if "dtype" in given else next(net.parameters()).dtype
    return Opened(net.to(device, dtype), config, device, content, dataset, str(path))


def _warn_of_other_split(path: str, said: dict[str, Any], given: dict[str, Any]) -> None:
    for name in ("test_split", "split_seed"):
        if name in given and name in said and given[name] != said[name]:
            logger.warning(
                "%s: was trained with %s %s; with %s, images of its training are in the test set, unless the data set "
                "defines its own",
                path,
                flag(name),
                said[name],
                given[name],
            )


@dataclass(frozen=True)
class Report:
    """Scores of a checkpoint on a test set, with the network, data, device and precision of the evaluation."""

    scores: Scores
    net: SpikingNetwork
    config: TrainConfig
    device: torch.device
    precision: Precision
    dataset: Dataset

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; accuracy by class with the classes' names."""
        scores = {key: value for key, value in asdict(self.scores).items() if key != "by_class"}
        counts = zip(self.dataset.classes, self.scores.by_class, strict=False)
        return {
            "dataset": self.config.dataset,
            "model": self.net.config["name"],
            "neuron": self.net.config["neuron"],
            "T": self.net.T,
            **scores,
            "images_per_second": self.scores.images_per_second,
            "device": str(self.device),
            "precision": self.precision.record(),
            "classes": {name: {"top1": hits / n if n else None, "samples": n} for name, (hits, n) in counts},
        }


def evaluate_checkpoint(path: str | os.PathLike[str], given: dict[str, Any], quiet: bool = True) -> Report:
    """Evaluate a checkpoint on its test set; `given` are options of `TrainConfig` that replace its own.

    It computes in the dtype of the weights, unless `given` has "amp_dtype" (`clif.precision`). Raises `InputError` as
    `clif.load` and `create_loader` do.
    """
    opened = open_checkpoint(path, given, exact=True)
    net, config = opened.net, opened.config
    with_processes(config)
    engine = Engine(config)
    dtype = str(next(net.parameters()).dtype).removeprefix("torch.")
    precision = common(asked_for(given, engine.device, dtype), engine.gather_object)
    if engine.is_first:
        warn_if_slow(precision)
    loader = engine.first(
        lambda: opened.loader(train=False, device=engine.device, rank=engine.rank, world_size=engine.world_size)
    )
    dataset = loader.dataset
    if (classes := net.config["num_classes"]) != dataset.num_classes:
        raise InputError(f"{path}: has {classes} classes, {dataset.name} has {dataset.num_classes}")
    loss = replace(opened, device=engine.device).loss()
    computation = Computation(net.to(engine.device), config.multiple_step)
    with precision.autocast():
        scores = evaluate(
            computation, loader, loss, quiet or not engine.is_first, reduce=engine.sum, num_classes=dataset.num_classes
        )
    return Report(scores, net, config, engine.device, precision, dataset)
