"""The demo: CLIF and LIF on real digits with the same seed and budget, deployed as LIF, told on one page."""

import base64
import dataclasses
import platform
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import torch
from matplotlib.figure import Figure

import clif
from clif.analysis import Trace, firing_rates, spike_raster, spiking_layers, trace
from clif.data import Loader, create_loader
from clif.deploy import Deployment, deploy_checkpoint
from clif.errors import InputError
from clif.files import write_atomically
from clif.models import SpikingNetwork, predict
from clif.paths import expand_home
from clif.report import figures
from clif.train.checkpoint import LAST, load
from clif.train.config import TrainConfig, resolve
from clif.train.folder import RunFolder
from clif.train.loop import fit
from clif.train.metrics import Result

NEURONS = ("CLIF", "LIF")
TRACE_STEPS = 24


@dataclass(frozen=True)
class Demo:
    """What the demo leaves: the page, its pictures, the runs and deployments by neuron.

    The deployments sweep one reset value; `fitted` is the CLIF network by the method "subtract".
    """

    page: Path
    pictures: list[Path]
    runs: dict[str, Result]
    deployments: dict[str, Deployment]
    fitted: Deployment


def run_demo(out: Path, recipe: str = "digits", quiet: bool = False, go_on: bool = False, **overrides: Any) -> Demo:
    """Train CLIF and LIF by the recipe, deploy both, and write `out`/index.html with its pictures beside it.

    The page holds its pictures and needs nothing else. Training goes to `out`/runs, where runs that were begun `go_on`.
    Raises `InputError` where `out` cannot be written.
    """
    start = time.perf_counter()
    out = Path(expand_home(out))
    runs: dict[str, Result] = {}
    for neuron in NEURONS:
        if not quiet:
            print(f"\n{neuron}")
        config = resolve(recipe, **{**overrides, "neuron": neuron, "out_dir": str(out / "runs")})
        if go_on and RunFolder(config.run_folder(), config.keep_last).is_begun():
            config.resume = "auto"
        runs[neuron] = fit(config, quiet)
    paths = {neuron: result.folder / LAST for neuron, result in runs.items()}
    deployments = {neuron: deploy_checkpoint(path, quiet=quiet) for neuron, path in paths.items()}
    fitted = deploy_checkpoint(paths["CLIF"], quiet=quiet, method="subtract")
    nets = {neuron: load(path) for neuron, path in paths.items()}
    sizes: dict[str, Any] = {"batch_size": config.b, "T": config.T}
    test = create_loader(config.dataset, config.data_dir, train=False, **sizes, **config.reading())

    files = _save_pictures(out, _draw(runs, deployments, nets, test))
    page = out / "index.html"
    command = {"recipe": recipe, "overrides": overrides}
    html = _render(files, runs, deployments, fitted, config, time.perf_counter() - start, command)
    write_atomically(page, lambda file: file.write(html.encode()))
    return Demo(page, list(files.values()), runs, deployments, fitted)


def _draw(
    runs: dict[str, Result], deployments: dict[str, Deployment], nets: dict[str, SpikingNetwork], test: Loader
) -> dict[str, Figure]:
    image, label = _example(nets["CLIF"], test)
    grey = (image * test.std[:, None, None] + test.mean[:, None, None]).mean(0).clamp(0, 1)
    return {
        "learning_curves": figures.learning_curves({neuron: run.history for neuron, run in runs.items()}),
        "firing_rates": figures.firing_rate_bars({neuron: firing_rates(net, test) for neuron, net in nets.items()}),
        "raster": figures.raster(grey, f"a test digit: {label}", spike_raster(nets["CLIF"], image)),
        "traces": figures.traces(_traces(nets, image), nets["CLIF"].T),
        "sweep": figures.sweep_curve(
            {neuron: deployment.table for neuron, deployment in deployments.items()},
            {neuron: deployment.source.top1 for neuron, deployment in deployments.items()},
        ),
    }


def _example(net: SpikingNetwork, test: Loader) -> tuple[torch.Tensor, str]:
    """The first test image that the network gets right (the first of all, if it gets none), and its class."""
    images, labels = next(test.batches(0))
    with torch.no_grad():
        right = (predict(net(images)) == labels).nonzero().flatten().tolist()
    index = right[0] if right else 0
    return images[index], test.dataset.classes[int(labels[index])]


def _traces(nets: dict[str, SpikingNetwork], image: torch.Tensor) -> dict[str, Trace]:
    """The same neuron of the second layer in each network: one that fires about every other step in all of them."""
    layer = list(spiking_layers(nets["CLIF"]))[1]
    rates = torch.stack([spike_raster(net, image)[layer].float().mean(0) for net in nets.values()])
    neuron = int((rates - 0.5).abs().sum(0).argmin())
    return {name: trace(net, image, layer, neuron, steps=TRACE_STEPS) for name, net in nets.items()}


def _save_pictures(out: Path, pictures: dict[str, Figure]) -> dict[str, Path]:
    files = {}
    for name, figure in pictures.items():
        files[name] = out / f"{name}.png"
        try:
            write_atomically(files[name], partial(figure.savefig, format="png", dpi=130))
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error}); choose another folder") from error
    return files


def _render(
    files: dict[str, Path],
    runs: dict[str, Result],
    deployments: dict[str, Deployment],
    fitted: Deployment,
    config: TrainConfig,
    seconds: float,
    command: dict[str, Any],
) -> str:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("clif", "report"), autoescape=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    embedded = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    return environment.get_template("demo.html").render(
        pictures=embedded,
        runs=runs,
        deployments=deployments,
        fitted=fitted.judged[-1],
        fitted_on=fitted.choice_data,
        config=dataclasses.asdict(config),
        seconds=seconds,
        precision=next(iter(runs.values())).summary["precision"],
        trace_steps=TRACE_STEPS,
        **command,
        versions={"clif": clif.__version__, "torch": torch.__version__, "python": platform.python_version()},
    )
