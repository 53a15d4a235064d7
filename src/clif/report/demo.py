"""The demo: trains CLIF and LIF on digits with the same seed and budget, deploys both as LIF, and writes one page."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clif.analysis import Trace, spike_raster, spiking_layers, trace
from clif.data import Loader, create_loader
from clif.deploy import Deployment, deploy_checkpoint
from clif.models import SpikingNetwork, predict
from clif.names import flag
from clif.paths import expand_home
from clif.report import figures
from clif.report.content import Picture, Report, Section, make_report
from clif.report.page import files_folder, write_page
from clif.report.results import Card
from clif.report.runs import find_runs
from clif.train.checkpoint import load
from clif.train.config import TrainConfig, resolve
from clif.train.folder import RunFolder
from clif.train.loop import fit
from clif.train.metrics import Result
from clif.train.resume import LAST

NEURONS = ("CLIF", "LIF")
TRACE_STEPS = 24

WHY_CLIF = (
    "The gradient of a LIF neuron vanishes over time. CLIF adds a complementary potential m, which carries the "
    "gradient further back in time. It adds no parameter, and its spikes stay binary. So the trained network can run "
    "on LIF hardware; only the reset changes."
)


@dataclass(frozen=True)
class Demo:
    """The results of the demo: the page, the folder of its figures and tables, the runs and deployments by neuron.

    The deployments sweep one reset value; `fitted` is the CLIF network by the method "subtract".

    >>> sorted(clif.report.run_demo(Path("demo"), quiet=True).runs)  # doctest: +SKIP
    ['CLIF', 'LIF']
    """

    page: Path
    files: Path
    runs: dict[str, Result]
    deployments: dict[str, Deployment]
    fitted: Deployment


def run_demo(out: Path, recipe: str = "digits", quiet: bool = False, resume: bool = False, **overrides: Any) -> Demo:
    """Train CLIF and LIF by the recipe, deploy both, and write `out`/index.html with its figures in index_files.

    The page is a report on both runs and needs no other file. The runs are in `out`/runs; `resume` resumes interrupted
    ones. Raises `InputError` if `out` cannot be written.

    >>> demo = clif.report.run_demo(Path("demo"), quiet=True)  # doctest: +SKIP
    >>> demo.page.name  # doctest: +SKIP
    'index.html'
    """
    start = time.perf_counter()
    out = Path(expand_home(out))
    runs: dict[str, Result] = {}
    for neuron in NEURONS:
        if not quiet:
            print(f"\n{neuron}")
        config = resolve(recipe, **{**overrides, "neuron": neuron, "out_dir": str(out / "runs")})
        if resume and RunFolder(config.run_folder(), config.keep_last).is_begun():
            config.resume = "auto"
        runs[neuron] = fit(config, quiet)
    paths = {neuron: result.folder / LAST for neuron, result in runs.items()}
    deployments = {neuron: deploy_checkpoint(path, quiet=quiet) for neuron, path in paths.items()}
    fitted = deploy_checkpoint(paths["CLIF"], quiet=quiet, method="subtract")
    nets = {neuron: load(path) for neuron, path in paths.items()}
    sizes: dict[str, Any] = {"batch_size": config.b, "T": config.T}
    test = create_loader(config.dataset, config.data_dir, train=False, **sizes, **config.reading())

    words = "".join(f" {flag(key)} {value}" for key, value in overrides.items())
    repeated = "\n".join(f"clif train {recipe} --neuron {neuron}{words}" for neuron in NEURONS)
    pictures = _pictures(nets, test, config.T)
    made = Section(
        "made",
        "How this page was made",
        [f"The demo took {time.perf_counter() - start:.0f} seconds. These commands repeat each half:"],
        code=f"{repeated}\nclif deploy RUN\nclif deploy RUN --method subtract\nclif report RUN RUN",
    )
    report = _tell(runs, deployments, fitted, config, pictures, made)
    page = out / "index.html"
    write_page(report, page)
    return Demo(page, files_folder(page), runs, deployments, fitted)


def _tell(
    runs: dict[str, Result],
    deployments: dict[str, Deployment],
    fitted: Deployment,
    config: TrainConfig,
    pictures: list[Picture],
    made: Section,
) -> Report:
    """The report on the runs with the sections of the demo."""
    report = make_report(find_runs([result.folder for result in runs.values()]))
    as_lif, samples = fitted.judged[-1], deployments["CLIF"].source.samples
    losses = [f"{result.history[-1]['test_loss']:.3f} with {neuron}" for neuron, result in runs.items()]
    about = Section(
        "about",
        "What the page shows",
        [
            WHY_CLIF,
            f"One test image is {1 / samples:.2%}, so a difference of a few images means little with one seed. The "
            f"test loss is more precise: {', '.join(losses)}.",
        ],
    )
    deployment = (
        "A CLIF neuron that fires is reset by a little more than its threshold. So a LIF neuron with a larger soft "
        f"reset, fitted on {fitted.choice_data}, follows it more closely than a LIF neuron with one reset value. It "
        f"predicts the same as the CLIF network for {as_lif.agreement:.2%} of the test images, with an accuracy of "
        f"{as_lif.top1:.2%}."
    )
    sections = [about]
    for section in report.sections:
        more = [*section.paragraphs, deployment] if section.id == "deployment" else section.paragraphs
        sections.append(dataclasses.replace(section, paragraphs=more))
        if section.id == "firing":
            sections.append(Section("inside", "Inside the networks", pictures=pictures))
    return dataclasses.replace(
        report,
        lead=f"The demo trained the same network ({config.model}) twice, with the same seed ({config.seed}) and budget "
        f"({config.epochs} epochs, T = {config.T} time steps); only the neuron differs. Accuracies are those of the "
        f"last epoch on {samples} test images that were not used otherwise.",
        cards=[
            *report.cards,
            Card(0, "CLIF, run as LIF", f"{as_lif.top1:.2%}".replace("%", " %"), "test accuracy, soft reset fitted"),
        ],
        sections=[*sections, made],
    )


def _pictures(nets: dict[str, SpikingNetwork], test: Loader, steps: int) -> list[Picture]:
    image, label = _example(nets["CLIF"], test)
    grey = (image * test.std[:, None, None] + test.mean[:, None, None]).mean(0).clamp(0, 1)
    spikes, traces = spike_raster(nets["CLIF"], image), _traces(nets, image)
    return [
        Picture(
            "raster",
            "Spikes of one test image",
            f"The image, a {label}, and the steps in which the neurons of each layer of the CLIF network fire",
            "One test image and its spikes in the CLIF network, for up to 60 of the neurons that fire in each layer.",
            figures.raster(grey, f"a test digit: {label}", spikes),
            figures.raster_csv(spikes),
        ),
        Picture(
            "traces",
            "Inside one neuron",
            "; ".join(
                f"{name}: {int(one.spikes.sum())} spikes in {len(one.spikes)} steps" for name, one in traces.items()
            ),
            f"The same neuron of the second layer in both networks, for {TRACE_STEPS} steps of the image (the networks "
            f"were trained on the first {steps}, shaded). m grows with each spike and makes the next reset larger.",
            figures.traces(traces, steps),
            figures.traces_csv(traces),
        ),
    ]


def _example(net: SpikingNetwork, test: Loader) -> tuple[torch.Tensor, str]:
    """The first test image that the network classifies correctly (else the first image), and its class."""
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
