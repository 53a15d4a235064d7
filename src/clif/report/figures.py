"""The pictures of a page. Each function makes one matplotlib figure; nothing touches pyplot's global state."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from clif.analysis import Trace
from clif.analysis.plotting import COLOURS, GREY, colour_of, tidy
from clif.report.tables import csv_text


def raster(image: Tensor, title: str, spikes: Mapping[str, Tensor], most: int = 60) -> Figure:
    """The image [H, W] in 0–1 and, for every layer, the spikes of its first `most` neurons that fire."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    picture, *panels = figure.subplots(1, len(spikes) + 1, width_ratios=[1.2, *[1] * len(spikes)])
    picture.imshow(image.numpy(), cmap="gray")
    picture.set_title(title, loc="left", fontsize=11)
    picture.set_axis_off()
    for i, (panel, layer) in enumerate(zip(panels, spikes.values(), strict=True)):
        active = layer[:, layer.any(0)][:, :most]
        step, neuron = active.nonzero(as_tuple=True)
        panel.scatter(step.numpy() + 1, neuron.numpy(), s=9, marker="|", color=COLOURS["CLIF"], linewidths=1.4)
        panel.set_xlim(0.5, len(layer) + 0.5)
        panel.set_ylim(-1, most)
        panel.set_xticks(range(1, len(layer) + 1))
        tidy(panel, f"layer {i + 1}", "step", "neuron" if i == 0 else "")
        panel.grid(visible=False)
        if i:
            panel.set_yticks([])
    return figure


def traces(recordings: Mapping[str, Trace], trained_steps: int) -> Figure:
    """Membrane potential v and complementary potential m of one neuron, with its spikes; one panel per neuron model."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, len(recordings), sharey=True, squeeze=False)[0]
    for panel, (neuron, recording) in zip(panels, recordings.items(), strict=True):
        steps = np.arange(1, len(recording.v) + 1)
        panel.axvspan(0.5, trained_steps + 0.5, color=GREY, alpha=0.12, linewidth=0)
        panel.plot(steps, recording.v.numpy(), color=colour_of(neuron), marker=".", label="v after the step")
        if recording.m is not None:
            panel.plot(steps, recording.m.numpy(), color=GREY, marker=".", linestyle="--", label="m")
        fired = steps[recording.spikes.numpy()]
        panel.scatter(fired, np.full(len(fired), 1.0), marker="|", s=120, color="black", label="spike")
        tidy(panel, f"{neuron}: {len(fired)} spikes in {len(steps)} steps", "step", "potential")
        panel.margins(y=0.2)
        panel.legend(frameon=False, fontsize=8, loc="upper left", ncols=3)
    return figure


def raster_csv(spikes: Mapping[str, Tensor]) -> str:
    """Every spike of the layers [T, neurons]: layer, step from 1 and neuron."""
    found = [
        (layer, step + 1, neuron) for layer, of_layer in spikes.items() for step, neuron in of_layer.nonzero().tolist()
    ]
    return csv_text([("layer", "step", "neuron"), *found])


def traces_csv(recordings: Mapping[str, Trace]) -> str:
    """The numbers that `traces` draws: neuron model, step from 1, v and m after the step, and whether it fired."""
    lines: list[tuple[object, ...]] = [("neuron", "step", "v", "m", "spike")]
    for neuron, recording in recordings.items():
        m = [None] * len(recording.v) if recording.m is None else recording.m.tolist()
        values = zip(recording.v.tolist(), m, recording.spikes.int().tolist(), strict=True)
        lines += [(neuron, step, *of_step) for step, of_step in enumerate(values, start=1)]
    return csv_text(lines)
