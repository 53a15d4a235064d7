"""A page of runs while they train: written anew after each epoch until all of them have ended."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clif.errors import InputError
from clif.report.content import make_report
from clif.report.page import Live, write_page
from clif.report.runs import Run, find_runs

POLL = 2.0
PATIENCE = 30.0
"""Seconds between two looks at the runs' files, and without change before it is asked whether anybody still trains."""


def follow(
    paths: Sequence[str | Path],
    page: Path,
    seconds: int,
    title: str = "",
    files: bool = True,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Write `page` whenever an epoch of the runs is over; it loads itself anew every so many `seconds`.

    Ends, with the page as it stays, when every run has ended or nobody trains in it any more. Raises `InputError` as
    `find_runs` does.
    """
    if seconds < 1:
        raise InputError(f"--every must be at least 1 second, got {seconds}")
    runs = find_runs(paths)
    written = None
    unchanged = 0.0
    while any(run.is_training for run in runs):
        state = "; ".join(f"{run.name}: {run.state}" for run in runs)
        if (now := _stamps(runs)) != written:
            write_page(make_report(runs, title), page, live=Live(seconds, state))
            say(state)
            written, unchanged = now, 0.0
        sleep(POLL)
        unchanged += POLL
        if _stamps(runs) != written or unchanged >= PATIENCE:
            runs, unchanged = find_runs(paths), 0.0
    write_page(make_report(runs, title), page, files)


def _stamps(runs: Sequence[Run]) -> list[tuple[str, int, int]]:
    """When the text files of the runs were last written."""
    found = []
    for run in runs:
        for pattern in ("*.csv", "*.json", "deploy*/*.json"):
            for path in sorted(run.folder.glob(pattern)):
                stat = path.stat()
                found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return found
