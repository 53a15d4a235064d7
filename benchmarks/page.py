"""Measure here and write docs/benchmarks.md with its pictures: `make benchmarks`.

    python benchmarks/page.py [--only demo,infer] [--device cuda] [--threads 2] [--rounds 20] [--render]

The figures of a processor go to benchmarks/results/KIND/*.json; KIND is the instruction set of the kernels. The page
shows those of every kind side by side. --render writes it from the stored figures. A newer processor can stand in for
one without AVX-512, and the page then says so:

    CLIF_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/page.py
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clif.bench import infer, machine, neuron, step
from clif.bench.measure import summarise
from clif.bench.report import Report, Row, as_markdown, notes, number, quartiles, read_report
from clif.bench.settings import InferSettings, NeuronSettings, StepSettings, select
from clif.devices import choose_device
from clif.files import write_content
from clif.ops import isa

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "neuron_sweep.png"
KINDS = {**{name: isa.IN_WORDS[name] for name in reversed(isa.NAMES)}, "cuda": "GPU"}
"""The folders of results and their names on the page, in its order."""

STYLES = {
    "cpu": ("clif, compiled", "#0b6e99", "o", "-"),
    "triton": ("clif, Triton", "#0b6e99", "o", "-"),
    "torch": ("clif, PyTorch reference", "#6a7f3b", "s", "-"),
    "torch.compile": ("the reference under torch.compile", "#9bb068", "s", "--"),
    "SpikingJelly FlexSN": ("SpikingJelly FlexSN", "#a63d40", "D", "-"),
    "SpikingJelly ComplementaryLIFNode": ("SpikingJelly CLIF", "#d1603d", "^", "-"),
    "SpikingJelly LIFNode": ("SpikingJelly LIF", "#e8a48c", "^", "--"),
    "snnTorch Leaky": ("snnTorch LIF", "#8c6bb1", "v", "--"),
    "norse LIFBox": ("norse LIF", "#b39ddb", "d", "--"),
    neuron.COPY: ("copy of the same bytes", "#7a7f87", "", ":"),
}

Cell = Callable[[Row], str]


def _time(row: Row) -> str:
    return "–" if row.timing is None else f"{number(row.timing.median)} {quartiles(row.timing)}"


def _figure(name: str) -> Cell:
    return lambda row: number(row.figures[name]) if name in row.figures else ""


@dataclass(frozen=True)
class Block:
    """A table of the page: the names of its rows, and the columns of a row for every kind of processor."""

    labels: dict[str, Cell]
    cells: dict[str, Cell]


MEMORY_BATCHES = {6: 16, 20: 8}
MEMORY_WAYS = ("plain", "ours", "ours-bits", "ours-blocks", "ours-memopt-1", "ours-memopt-2", "ours-memopt-3")

NAMES: dict[str, Cell] = {"": lambda row: row.name, "dtype": lambda row: row.dtype}
BLOCKS = {
    "neuron": Block(NAMES, {"ms": _time, **{name: _figure(name) for name in ("over copy", "bytes kept")}}),
    "step": Block(NAMES, {"ms": _time, **{name: _figure(name) for name in ("of plain", "images/s", "peak MiB")}}),
    **{
        f"memory_T{T}": Block(
            NAMES, {"ms": _time, **{name: _figure(name) for name in ("of plain", "peak MiB", "MiB before the step")}}
        )
        for T in MEMORY_BATCHES
    },
    "infer": Block({**NAMES, "batch": _figure("batch")}, {"ms": _time, "of plain": _figure("of plain")}),
    "demo": Block(
        {"": lambda row: row.name},
        {
            "seconds": lambda row: number(row.timing.median / 1e3) if row.timing else "–",
            "trained in": lambda row: row.dtype,
            **{name: _figure(name) for name in ("CLIF images/s", "LIF images/s")},
        },
    ),
}


def measure(only: list[str], device: str, threads: int | None, rounds: int) -> None:
    """Run the benchmarks of the page, one file each."""
    on_gpu = device.startswith("cuda")
    shape = (6, 128, 64, 32, 32) if on_gpu else (6, 16, 64, 32, 32)
    common = {"device": device, "threads": threads}
    few, swept = max(3, rounds // 4), {"rounds": max(5, rounds // 2), "dtypes": ("float32",), "sweep": ("T", "size")}
    runs = {
        "neuron": lambda: neuron.run(NeuronSettings(**common, shape=shape, rounds=rounds)),
        "neuron_sweep": lambda: neuron.run(NeuronSettings(**common, shape=shape, **swept)),
        "step": lambda: step.run(StepSettings(**common, rounds=few)),
        **{
            f"memory_T{T}": partial(
                step.run, StepSettings(**common, T=T, batch=batch, rounds=few, contestants=MEMORY_WAYS)
            )
            for T, batch in MEMORY_BATCHES.items()
        },
    }
    if not on_gpu:
        runs |= {"infer": lambda: infer.run(InferSettings(threads=threads, rounds=few)), "demo": demo}
    folder = RESULTS / ("cuda" if on_gpu else isa.NAMES[isa.current()])
    for name in select(only, runs):
        print(f"measuring {name}", flush=True)
        _write(folder / f"{name}.json", runs[name]().to_json())


def demo(*options: str) -> Report:
    """The wall time of `clif demo` once it is installed, and the rates of its trainings."""
    described = machine.describe(torch.device("cpu"), torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "clif", "demo", "--quiet", "-out", folder, *options]
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        runs = [json.loads(path.read_text()) for path in Path(folder).glob("runs/*/summary.json")]
        names = [path.parent.name for path in Path(folder).glob("runs/*/summary.json")]
    figures = {}
    for name, summary in zip(names, runs, strict=True):
        trained = next(neuron for neuron in ("CLIF", "LIF") if f"_{neuron}_" in name)
        figures[f"{trained} images/s"] = summary["last"]["train_images_per_second"]
    row = Row("clif demo", runs[0]["precision"], summarise([seconds * 1e3]), "", figures)
    return Report("demo", {"options": list(options)}, described, [row])


def _write(path: Path, text: str) -> None:
    write_content(path, text)


def draw(report: Report) -> Figure:
    """Nanoseconds per element over T and over the number of neurons of a step."""
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


def stored(name: str) -> dict[str, Report]:
    """The reports of a benchmark by the page's names of their processors."""
    paths = {kind: RESULTS / kind / f"{name}.json" for kind in KINDS}
    reports = {kind: read_report(path) for kind, path in paths.items() if path.is_file()}
    lowered = {kind: ", lowered" if "lowered" in report.machine else "" for kind, report in reports.items()}
    return {f"{KINDS[kind]}{lowered[kind]}": report for kind, report in reports.items()}


def block(name: str, reports: dict[str, Report]) -> str:
    """The generated part of the page for one benchmark; a row appears if one of the processors was timed in it."""
    shown = BLOCKS[name]
    rows: dict[tuple[str, ...], dict[str, Row]] = {}
    for title, report in reports.items():
        for row in report.rows:
            if row.timing is not None:
                key = tuple(label(row) for label in shown.labels.values())
                rows.setdefault(key, {})[title] = row
    if not rows:
        return "Not measured yet."
    header = [*shown.labels, *(f"{title}<br>{cell}" for title in reports for cell in shown.cells)]
    absent = ["–", *[""] * (len(shown.cells) - 1)]
    lines = [
        [*key, *(cell for title in reports for cell in (_cells(shown, timed[title]) if title in timed else absent))]
        for key, timed in rows.items()
    ]
    measured = [f"- {title}: {machine.in_words(report.machine)}." for title, report in reports.items()]
    text = [as_markdown(header, lines, len(shown.labels)), "", "Measured on:", "", *measured, "", *_notes(reports)]
    return "\n".join(text).rstrip()


def _notes(reports: dict[str, Report]) -> list[str]:
    """The notes of all reports, each once, with the processors that it concerns unless these are all."""
    titles: dict[str, list[str]] = {}
    for title, report in reports.items():
        for note in notes(report):
            titles.setdefault(note, []).append(title)
    return [
        f"- {note}" if len(concerned) == len(reports) else f"- {', '.join(concerned)}: {note}"
        for note, concerned in titles.items()
    ]


def _cells(shown: Block, row: Row) -> list[str]:
    return [cell(row) for cell in shown.cells.values()]


def render() -> None:
    """Write the tables between the page's markers, and the picture."""
    text = PAGE.read_text()
    for name in BLOCKS:
        text = _replace(text, name, block(name, stored(name)))
    _write(PAGE, text)
    figure = draw(next(iter(stored("neuron_sweep").values())))
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
    parser.add_argument(
        "--only", metavar="LIST", help="comma-separated: neuron, neuron_sweep, step, memory_T6, memory_T20, infer, demo"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--render", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.render:
        only = arguments.only.split(",") if arguments.only else []
        measure(only, str(choose_device(arguments.device)), arguments.threads, arguments.rounds)
    render()


if __name__ == "__main__":
    main()
