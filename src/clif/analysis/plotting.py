"""Shared parts of all plots: axes, colours and style. They do not change pyplot's global state."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"CLIF": "#0b6e99", "LIF": "#d1603d", "PLIF": "#6a7f3b"}
GREY = "#7a7f87"
LINES = ("-", "--", ":", "-.")


def colour_of(neuron: str) -> str:
    """The colour of a neuron, which depends only on its name, also for a user's neuron."""
    return COLOURS.get(neuron) or f"C{zlib.crc32(neuron.encode()) % 10}"


def axes_or_new(ax: "Axes | None", width: float = 7.0, height: float = 3.6) -> "Axes":
    """`ax` itself, or the axes of a new figure of `width` x `height` inches, which is `ax.figure`."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


def tidy(axes: "Axes", title: str, x: str, y: str) -> None:
    """The style of all plots: a title at the left, axis labels, a faint grid, and no frame at the top and right."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def panels(
    draw: "Mapping[str, Callable[[Axes], object]]", width: float = 4.0, height: float = 3.6, columns: int = 3
) -> "Figure":
    """A figure with a panel of `width` x `height` inches for each function that draws into axes."""
    from matplotlib.figure import Figure

    columns = min(len(draw), columns)
    rows = -(-len(draw) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, function in zip(axes, draw.values(), strict=False):
        function(panel)
    for panel in axes[len(draw) :]:
        panel.remove()
    return figure


def layer_colours(number: int) -> list[Any]:
    """Colours from the first layer (dark) to the last (light)."""
    from matplotlib import colormaps

    scale = colormaps["viridis"]
    return [scale(0.9 * i / max(number - 1, 1)) for i in range(number)]


def legend(axes: "Axes", most: int = 8) -> None:
    """A legend of all lines or, if there are more than `most`, of some of them from the first to the last."""
    handles, labels = axes.get_legend_handles_labels()
    number = len(handles)
    chosen = range(number) if number <= most else [round(i * (number - 1) / (most - 1)) for i in range(most)]
    axes.legend([handles[i] for i in chosen], [labels[i] for i in chosen], frameon=False, fontsize=8)


def name_layers(axes: "Axes", names: Sequence[str]) -> None:
    """The layers' names along the x-axis, aslant if they are many or long."""
    aslant = len(names) * max(map(len, names), default=0) > 70
    axes.set_xticks(range(len(names)), names, rotation=45 if aslant else 0, ha="right" if aslant else "center")
    axes.tick_params(axis="x", labelsize=8)


def whole_ticks(axes: "Axes") -> None:
    """Ticks of the x-axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
