"""The picture of predictions: each sample beside the probabilities of its most likely classes at each step."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clif.analysis.plotting import tidy
from clif.data.base import Dataset
from clif.data.gallery import colour_events, colour_image
from clif.errors import InputError
from clif.files import write_atomically
from clif.prediction import Prediction

FORMATS = (".png", ".svg", ".pdf")


@rc_context({"text.parse_math": False})
def prediction_figure(dataset: Dataset, predictions: Sequence[Prediction], top: int = 3) -> Figure:
    """One row per file: the network's input, and the probabilities of the `top` classes after each step."""
    figure = Figure(figsize=(7, 2.2 * len(predictions)), layout="constrained")
    rows = figure.subplots(len(predictions), 2, width_ratios=[1, 2.4], squeeze=False)
    for (shown, axes), prediction in zip(rows, predictions, strict=True):
        shown.imshow(_picture(dataset, prediction))
        shown.set_axis_off()
        shown.set_title(prediction.path.name, loc="left", fontsize=9)
        steps = range(1, len(prediction.probabilities) + 1)
        best = [name for name, _ in prediction.best(number=top)]
        for name in best:
            values = prediction.probabilities[:, dataset.classes.index(name)]
            axes.plot(steps, 100 * values.numpy(), marker="o", markersize=4)
        tidy(axes, "", "time steps" if axes is rows[-1][1] else "", "probability (%)")
        axes.set_ylim(-3, 103)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        places = map(str, range(len(best)))  # labels of lines that begin with _ would be left out
        legend = axes.legend(
            axes.lines, places, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5)
        )
        for text, name in zip(legend.get_texts(), best, strict=True):
            text.set_text(name)
    return figure


def _picture(dataset: Dataset, prediction: Prediction):
    if not dataset.events:
        return colour_image(dataset, prediction.frames[0])
    events = prediction.frames.sum(0)
    return colour_events(events / events.quantile(0.999).clamp(min=1))


def check_format(path: Path) -> None:
    """Raise `InputError` unless a path has the extension of a picture."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: the picture must be a .png, .svg or .pdf file")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as .png, .svg or .pdf. Raises `InputError` for another format and if it cannot be written."""
    check_format(path)
    try:
        write_atomically(path, partial(figure.savefig, format=path.suffix[1:].lower(), dpi=130))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from error
