"""The progress bar of the package: a bar on a terminal, lines elsewhere."""

import sys
from typing import Any

from tqdm import tqdm

from clif.output import ProgressStream

SECONDS_BETWEEN_LINES = 10


def progress_bar(
    total: int, description: str, quiet: bool, initial: int = 0, unit: str = "img", **options: Any
) -> tqdm:
    """A bar that counts up to `total`, with the rate and the time left; `options` are those of tqdm.

    If stderr is no terminal, it is a line every 10 seconds, and nothing in the first 10.
    """
    kind = tqdm if sys.stderr is not None and sys.stderr.isatty() else _Lines
    return kind(
        total=total,
        initial=initial,
        desc=description,
        unit=unit,
        disable=quiet or sys.stderr is None,
        file=ProgressStream(sys.stderr),
        leave=False,
        dynamic_ncols=True,
        **options,
    )


class _Lines(tqdm):
    """Writes its state as a line: no drawing, no carriage return."""

    def __init__(self, *, total: int, **options: Any) -> None:
        progress = "{n_fmt} of {total_fmt} {unit} ({percentage:.0f} %), {remaining} left" if total else "{n_fmt} {unit}"
        super().__init__(
            total=total,
            mininterval=SECONDS_BETWEEN_LINES,
            maxinterval=SECONDS_BETWEEN_LINES,
            delay=SECONDS_BETWEEN_LINES,
            bar_format=f"{{desc}}: {progress}, {{elapsed}} passed, {{rate_fmt}}{{postfix}}",
            **options,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # noqa: ARG002
        """Write the line, but not the blank one with which tqdm clears a bar."""
        if msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return False

    def clear(self, nolock: bool = False) -> None:
        """There is nothing to clear."""
