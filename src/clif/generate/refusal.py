"""The refusal of a neuron's `step` from which no kernel can be generated."""

import linecache
import sys
from pathlib import Path
from types import FrameType

from clif.errors import InputError


class TraceError(InputError):
    """No kernel can be generated for a `step`; the message says why and for which line."""


def refusal(what: str, advice: str) -> TraceError:
    """The error for the line of `step` that runs now."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "step":
        frame = frame.f_back
    where = ""
    if frame is not None:
        file, line = frame.f_code.co_filename, frame.f_lineno
        source = linecache.getline(file, line).strip()
        where = f"{Path(file).name}, line {line}{f' ({source})' if source else ''}: "
    return TraceError(f"{where}{what}; {advice}")
