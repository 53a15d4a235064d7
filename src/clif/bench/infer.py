"""`clif bench infer`: a network's inference on a CPU, computed in several ways, with their predictions."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from clif.bench import machine
from clif.bench.gate import left_out
from clif.bench.infer_contestants import DEFAULT_WAYS, WAYS, Predict
from clif.bench.measure import measure, threads
from clif.bench.report import Report, Row
from clif.bench.settings import InferSettings, select
from clif.errors import InputError
from clif.models import SpikingNetwork, create_model
from clif.trained_network import open_checkpoint

COLUMNS = ("batch", "of plain", "images/s", "accuracy %", "agreement %")
LEAST_AGREEMENT = 0.5


def run(settings: InferSettings) -> Report:
    """Time the ways at each batch size; accuracy and agreement with the plain way are those on all images.

    With a checkpoint the images are those of its test set. Without one, network and images are random, and the batch
    norms have the statistics of the images, so every layer fires. The agreement then shows only the effect of rounding
    in an untrained network.
    """
    chosen = select(settings.contestants or DEFAULT_WAYS, WAYS)
    count = settings.threads or torch.get_num_threads()
    with threads(count), torch.no_grad():
        net, batches = _subject(settings)
        settings = dataclasses.replace(settings, model=net.config["name"], neuron=net.config["neuron"], T=net.T)
        wanted, labels = _predictions(WAYS["plain"].prepare(net), batches), torch.cat([y for _, y in batches])
        predicts: dict[str, Predict] = {}
        rows: dict[str, Row] = {}
        quality: dict[str, dict[str, float]] = {}
        for name in chosen:
            if not settings.contestants and (reason := left_out(name, WAYS[name].dtype, torch.device("cpu"))):
                rows[name] = Row(name, WAYS[name].dtype, None, reason)
                continue
            try:
                predicts[name] = WAYS[name].prepare(net)
            except InputError as error:
                rows[name] = Row(name, WAYS[name].dtype, None, f"not here: {error}")
                continue
            found = _predictions(predicts[name], batches)
            agreement = (found == wanted).double().mean().item()
            quality[name] = {"agreement %": 100 * agreement}
            if settings.checkpoint is not None:
                quality[name]["accuracy %"] = 100 * (found == labels).double().mean().item()
            if agreement < LEAST_AGREEMENT:
                rows[name] = Row(name, WAYS[name].dtype, None, f"no time is reported: agrees on {agreement:.0%} only")
                del predicts[name]
        images = torch.cat([x for x, _ in batches])
        ordered = list(rows.values())
        for size in settings.batches:
            x = images[torch.arange(size) % len(images)]
            timings = measure(
                {name: _bound(predict, x) for name, predict in predicts.items()}, settings.rounds, x.device
            )
            for name, timing in timings.items():
                figures = {"batch": float(size), "images/s": size / timing.median * 1e3, **quality[name]}
                if "plain" in timings:
                    figures["of plain"] = timing.median / timings["plain"].median
                ordered.append(Row(name, WAYS[name].dtype, timing, WAYS[name].describe, figures))
    return Report("infer", dataclasses.asdict(settings), machine.describe(torch.device("cpu"), count), ordered)


def _bound(predict: Predict, x: Tensor):
    return lambda: predict(x)


def _predictions(predict: Predict, batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([predict(x).mean(0).argmax(-1) for x, _ in batches])


def _subject(settings: InferSettings) -> tuple[SpikingNetwork, list[tuple[Tensor, Tensor]]]:
    """The network in eval mode, and images in batches of 50 on which the ways are compared."""
    if settings.checkpoint is None:
        torch.manual_seed(0)
        net = create_model(settings.model, settings.neuron, T=settings.T, image_size=settings.image_size)
        random = list(_random(net, settings.images))
        net.train()
        for x, _ in random[:4]:  # batch norms get the statistics, so every layer fires
            net(x)
        return net.eval(), random

    given = {} if settings.data_dir is None else {"data_dir": settings.data_dir}
    opened = open_checkpoint(settings.checkpoint, {**given, "device": "cpu"})
    batches = list(opened.loader(train=False, batch_size=50, limit=settings.images))
    if batches[0][0].dim() == 5:
        raise InputError("clif bench infer times networks of static images; this checkpoint's data are event frames")
    return opened.net.eval(), batches


def _random(net: SpikingNetwork, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for begin in range(0, count, 50):
        size = min(50, count - begin)
        x = torch.randn(size, *net.sample_shape)
        yield x, torch.zeros(size, dtype=torch.int64)
