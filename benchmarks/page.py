"""Measure here and write docs/benchmarks.md with its pictures: `make benchmarks`.

    python benchmarks/page.py [--device cuda] [--threads 2] [--rounds 20] [--render]

The figures go to benchmarks/results/*.json; --render writes the page anew from those that are there.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clif.bench import neuron, step
from clif.bench.machine import in_words
from clif.bench.report import Report, Row, as_markdown, notes, read_report
from clif.bench.settings import NeuronSettings, StepSettings
from clif.train.checkpoint import write_atomically
from clif.train.setup import choose_device

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "neuron_sweep.png"
COLUMNS = {"neuron": neuron.COLUMNS, "step": step.COLUMNS}

STYLES = {
    "cpu": ("clif, compiled", "#0b6e99", "o", "-"),
    "triton": ("clif, Triton", "#0b6e99", "o", "-"),
    "torch": ("clif, PyTorch reference", "#6a7f3b", "s", "-"),
    "torch.compile": ("the reference under torch.compile", "#9bb068", "s", "--"),
    "SpikingJelly ComplementaryLIFNode": ("SpikingJelly CLIF", "#d1603d", "^", "-"),
    "SpikingJelly LIFNode": ("SpikingJelly LIF", "#e8a48c", "^", "--"),
    "snnTorch Leaky": ("snnTorch LIF", "#8c6bb1", "v", "--"),
    "norse LIFBox": ("norse LIF", "#b39ddb", "d", "--"),
    neuron.COPY: ("copy of the same bytes", "#7a7f87", "", ":"),
}


def measure(device: str, threads: int | None, rounds: int) -> None:
    """Run the benchmarks of the page, one file each."""
    shape = (6, 128, 64, 32, 32) if device.startswith("cuda") else (6, 16, 64, 32, 32)
    common = {"device": device, "threads": threads}
    reports = {
        "neuron": lambda: neuron.run(NeuronSettings(**common, shape=shape, rounds=rounds)),
        "neuron_sweep": lambda: neuron.run(
            NeuronSettings(**common, shape=shape, rounds=max(5, rounds // 2), dtypes=("float32",), sweep=("T", "size"))
        ),
        "step": lambda: step.run(StepSettings(**common, rounds=max(3, rounds // 4))),
    }
    for name, run in reports.items():
        print(f"measuring {name}", flush=True)
        _write(RESULTS / f"{name}.json", run().to_json())


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def draw(report: Report) -> Figure:
    """Nanoseconds an element over T and over the neurons of a step."""
    T, elements = report.settings["shape"][0], report.rows[0].figures["neurons"] * report.rows[0].figures["T"]
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    _panel(panels[0], report.rows, "T", lambda row: abs(row.figures["T"] * row.figures["neurons"] / elements - 1) < 0.1)
    _panel(panels[1], report.rows, "neurons", lambda row: row.figures["T"] == T)
    panels[0].set_title(f"over T, {elements / 1e6:.2g} million elements", loc="left", fontsize=10)
    panels[1].set_title(f"over the number of neurons, T = {T}", loc="left", fontsize=10)
    panels[0].set_xlabel("time steps T")
    panels[1].set_xlabel("neurons")
    panels[0].set_ylabel("forward + backward, ns per neuron and step")
    figure.legend(
        *panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    return figure


def _panel(axes: Axes, rows: list[Row], figure: str, belongs: Callable[[Row], bool]) -> None:
    for name, (label, colour, marker, line) in STYLES.items():
        points = {r.figures[figure]: r for r in rows if r.name == name and r.timing is not None and belongs(r)}
        x = sorted(points)
        times = [points[value].timing for value in x]
        per_element = [points[value].figures["ns/element"] / points[value].timing.median for value in x]
        median, low, high = (
            [getattr(t, name) * scale for t, scale in zip(times, per_element, strict=True)]
            for name in ("median", "low", "high")
        )
        if x:
            axes.plot(x, median, marker=marker, linestyle=line, color=colour, label=label, markersize=4)
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def block(report: Report, name: str) -> str:
    """The generated part of the page for one report."""
    lines = [as_markdown(report, COLUMNS[name]), "", f"Measured on: {in_words(report.machine)}."]
    lines += [f"\n{text[0].upper()}{text[1:]}." for text in notes(report)]
    return "\n".join(lines)


def render() -> None:
    """Write the tables between the page's markers, and the picture."""
    reports = {name: read_report(RESULTS / f"{name}.json") for name in (*COLUMNS, "neuron_sweep")}
    text = PAGE.read_text()
    for name in COLUMNS:
        text = _replace(text, name, block(reports[name], name))
    _write(PAGE, text)
    figure = draw(reports["neuron_sweep"])
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=130)


def _replace(text: str, name: str, block: str) -> str:
    """The page with a new block between the markers of that name."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    new, found = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{block}\n{end}", text, flags=re.DOTALL)
    if found != 1:
        raise SystemExit(f"{PAGE}: the markers {begin} … {end} must be there once")
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--render", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.render:
        measure(str(choose_device(arguments.device)), arguments.threads, arguments.rounds)
    render()


if __name__ == "__main__":
    main()
