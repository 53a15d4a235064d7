"""Analyses of one or several networks side by side, of checkpoints or untrained, on test images: `clif analyze`."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from clif import analysis
from clif.analysis import Result, TemporalGradients
from clif.analysis.plotting import panels
from clif.data import Loader
from clif.devices import choose_device
from clif.errors import InputError
from clif.models import SpikingNetwork, create_model
from clif.private_torch import BATCH_NORMS
from clif.train.components import data_of, make_net
from clif.train.config import resolve
from clif.trained_network import Opened, open_checkpoint

UNTRAINED = "digits"
"""The recipe of networks without a checkpoint; options replace its values."""

SETTLED = 64
"""The number of training images for the batch norms of untrained networks."""

TRACED = 3
"""The number of neurons that are traced if none are named."""


@dataclass(frozen=True)
class Subject:
    """A network to analyse, opened like a checkpoint, and its name in plots."""

    name: str
    opened: Opened
    untrained: bool = False

    @property
    def net(self) -> SpikingNetwork:
        return self.opened.net

    def loader(self, **options: Any) -> Loader:
        """Batches of its test images."""
        return self.opened.loader(**{"train": False, **options})


@dataclass(frozen=True)
class Settings:
    """Options of the analyses; each uses some of them. `sample` is the index of a test image."""

    images: int = 256
    sample: int = 0
    layer: str | None = None
    neurons: tuple[int, ...] = ()
    by: str = "layer"
    state: str | None = None


def trained(paths: Iterable[str | os.PathLike[str]], given: dict[str, Any], untrained: bool = False) -> list[Subject]:
    """The networks of checkpoints; with `untrained`, each is followed by the same network with fresh weights.

    `given` are options of `TrainConfig` that replace those of the checkpoints.
    """
    found = []
    for path in paths:
        opened = open_checkpoint(path, given)
        where = Path(path).name if Path(path).is_dir() else Path(path).parent.name or Path(path).name
        neuron = opened.net.config["neuron"]
        found.append((where, Subject(neuron, opened)))
        if untrained:
            torch.manual_seed(opened.config.seed)
            fresh = replace(opened, net=create_model(**opened.net.config).to(opened.device))
            found.append((where, Subject(f"{neuron}, untrained", fresh, untrained=True)))
    return _told_apart(found)


def fresh(neurons: Iterable[str], given: dict[str, Any]) -> list[Subject]:
    """Untrained networks of these neurons, with the same weights; `given` are options of `TrainConfig`."""
    found = []
    for neuron in neurons:
        config = resolve(UNTRAINED, **{**given, "neuron": neuron})
        device = choose_device(config.device)
        opened = Opened(make_net(config).to(device), config, device, {}, data_of(config))
        found.append((neuron, Subject(f"{config.neuron}, untrained", opened, untrained=True)))
    return _told_apart(found)


def _told_apart(found: list[tuple[str, Subject]]) -> list[Subject]:
    """The subjects with unique names: equal names get their folder, or a number."""
    names = [subject.name for _, subject in found]
    places = [f"{name} ({where})" for name, (where, _) in zip(names, found, strict=True)]
    told = [name if names.count(name) == 1 else place for name, place in zip(names, places, strict=True)]
    unique = [name if told.count(name) == 1 else f"{name} {told[: k + 1].count(name)}" for k, name in enumerate(told)]
    return [replace(subject, name=name) for name, (_, subject) in zip(unique, found, strict=True)]


@rc_context({"text.parse_math": False})  # the names of folders are text
def analyse(what: str, subjects: list[Subject], settings: Settings) -> tuple[dict[str, Result], Figure]:
    """One of `clif.names.ANALYSES`: the result of each network by its name, and the figure of all.

    "similarity" and "gradient" have one result, under their own name. Raises `InputError` for a layer or image that
    does not exist, and for a number of networks that the analysis does not take.
    """
    if what == "gradient":
        return _gradient(subjects, settings)
    for subject in subjects:
        if subject.untrained:
            settle_norms(subject.net, subject.loader(limit=SETTLED, train=True, augment=False))
    if what == "similarity":
        return _similarity(subjects, settings)
    found = {subject.name: _of_one(what, subject, settings) for subject in subjects}
    options: dict[str, dict[str, Any]] = {
        "rates": {"by": settings.by},
        "histograms": {"state": settings.state},
    }
    size = (7.0, 5.0) if what == "raster" else (6.0, 3.6)
    return found, panels(
        {name: _titled(result, name, options.get(what, {})) for name, result in found.items()}, *size, columns=2
    )


def settle_norms(net: SpikingNetwork, loader: Loader) -> None:
    """Set the running statistics of the batch norms to the mean over these images; the weights do not change."""
    norms = [module for module in net.modules() if isinstance(module, BATCH_NORMS) and module.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    was_training = net.training
    net.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with torch.no_grad():
            for x, _ in loader:
                net(x)
    finally:
        net.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _titled(result: Result, name: str, options: Mapping[str, Any]) -> Any:
    def draw(axes: Axes) -> None:
        result.plot(axes, **options)
        axes.set_title(f"{name}: {axes.get_title(loc='left')}", loc="left", fontsize=11)

    return draw


def _of_one(what: str, subject: Subject, settings: Settings) -> Result:
    net = subject.net
    if what == "raster":
        return analysis.raster(net, _sample(subject, settings), settings.layer)
    if what == "traces":
        return _traces(subject, settings)
    loader = subject.loader(limit=settings.images)
    if what == "rates":
        return analysis.firing_rates(net, loader)
    if what == "channels":
        return analysis.channel_activity(net, loader)
    if what == "histograms":
        return analysis.histograms(net, loader)
    return analysis.spike_statistics(net, loader)


def _sample(subject: Subject, settings: Settings) -> Tensor:
    """A test image [C, H, W] or its frames [T, C, H, W]."""
    loader = subject.loader(batch_size=1)
    if not 0 <= settings.sample < loader.num_samples:
        raise InputError(f"the test set has the images 0 to {loader.num_samples - 1}, got {settings.sample}")
    x, _ = next(loader.batches(0, settings.sample))
    return x[0] if x.dim() == 4 else x[:, 0]


def _traces(subject: Subject, settings: Settings) -> Result:
    x = _sample(subject, settings)
    layers = list(analysis.spiking_layers(subject.net))
    layer = settings.layer or layers[min(1, len(layers) - 1)]
    neurons = settings.neurons
    if not neurons:
        rates = analysis.raster(subject.net, x, [layer]).spikes[layer].double().mean(0)
        neurons = tuple((rates - 0.5).abs().argsort(stable=True)[:TRACED].tolist())
    return analysis.traces(subject.net, x, {layer: neurons})


def _similarity(subjects: list[Subject], settings: Settings) -> tuple[dict[str, Result], Figure]:
    if len(subjects) != 2:
        raise InputError(f"similarity needs two networks, got {len(subjects)}")
    one, other = subjects
    if one.net.sample_shape != other.net.sample_shape:
        shapes = " and ".join(str(list(subject.net.sample_shape)) for subject in subjects)
        raise InputError(f"the two networks take different data, samples {shapes}")
    found = analysis.similarity(one.net, other.net, one.loader(limit=settings.images))

    def draw(axes: Axes) -> None:
        found.plot(axes)
        axes.set_ylabel(one.name)
        axes.set_xlabel(other.name)

    return {"similarity": found}, panels({"": draw}, 6.0, 5.0)


def _gradient(subjects: list[Subject], settings: Settings) -> tuple[dict[str, Result], Figure]:
    found = TemporalGradients(
        {
            subject.name: analysis.temporal_gradient(
                subject.net, subject.loader(limit=settings.images, shuffle=True), subject.opened.loss()
            )
            for subject in subjects
        }
    )
    return {"gradient": found}, found.figure()
