"""The pictures of a page. Each function makes one matplotlib figure; nothing touches pyplot's global state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from clif.analysis import Trace
from clif.analysis.plotting import COLOURS, GREY, colour_of, tidy
from clif.deploy import SweepRow
from clif.train.metrics import Row


def learning_curves(histories: Mapping[str, Sequence[Row]]) -> Figure:
    """Test loss and test accuracy over the epochs, one line a neuron."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for neuron, history in histories.items():
        epochs = [row["epoch"] + 1 for row in history]
        style = {"color": colour_of(neuron), "marker": "o", "markersize": 4, "label": neuron}
        loss.plot(epochs, [row["test_loss"] for row in history], **style)
        accuracy.plot(epochs, [100 * row["test_top1"] for row in history], **style)
    tidy(loss, "Test loss", "epoch", "loss")
    tidy(accuracy, "Test accuracy", "epoch", "top-1 (%)")
    loss.legend(frameon=False)
    return figure


def firing_rate_bars(rates: Mapping[str, Mapping[str, float]]) -> Figure:
    """Spikes per neuron and step, layer by layer, one bar a neuron model."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    layers = list(next(iter(rates.values())))
    width = 0.8 / len(rates)
    for i, (neuron, values) in enumerate(rates.items()):
        places = np.arange(len(layers)) + (i - (len(rates) - 1) / 2) * width
        bars = axes.bar(places, [100 * values[layer] for layer in layers], width, color=colour_of(neuron), label=neuron)
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=1)
    axes.set_xticks(range(len(layers)), [f"layer {i + 1}" for i in range(len(layers))])
    tidy(axes, "Firing rate on the test set", "", "spikes per neuron and step (%)")
    axes.legend(frameon=False)
    return figure


def raster(image: Tensor, title: str, spikes: Mapping[str, Tensor], most: int = 60) -> Figure:
    """The image [H, W] in 0–1 and, for every layer, when its first `most` neurons that fire at all do so."""
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
    """Membrane potential v and complementary potential m of one neuron, with its spikes; a panel a neuron model."""
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


def sweep_curve(tables: Mapping[str, Sequence[SweepRow]], sources: Mapping[str, float]) -> Figure:
    """Test accuracy as LIF over the reset values, with the accuracy of the network as it was trained."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    for neuron, rows in tables.items():
        places = range(len(rows))
        axes.plot(
            places, [100 * row.top1 for row in rows], color=colour_of(neuron), marker="o", label=f"{neuron}-trained"
        )
        axes.axhline(100 * sources[neuron], color=colour_of(neuron), linestyle=":", linewidth=1.2)
    names = ["soft" if row.v_reset is None else f"{row.v_reset:g}" for row in next(iter(tables.values()))]
    axes.set_xticks(range(len(names)), names)
    tidy(axes, "Run as LIF (dotted: as trained)", "reset value", "test top-1 (%)")
    axes.legend(frameon=False)
    return figure
