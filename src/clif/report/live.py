"""A page of runs while they train: rewritten after each epoch until all of them have ended."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clif.errors import InputError
from clif.paths import expand_home
from clif.report.content import make_report
from clif.report.page import Live, write_page
from clif.report.runs import Run, find_runs
from clif.train.resume import CONFIG

POLL = 2.0
PATIENCE = 30.0
"""Seconds between two checks of the runs' files, and seconds without a change after which the locks are checked."""

GRACE = 20.0
"""Seconds to wait for the next run after the last one has ended."""


def follow(
    paths: Sequence[str | Path],
    page: Path,
    seconds: int,
    title: str = "",
    files: bool = True,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Write `page` at the end of each epoch of the runs; it reloads every so many `seconds`.

    `follow` ends when each run has ended or is no longer trained. The page then does not reload. In a folder
    of runs `follow` waits `GRACE` seconds for the next run. Raises `InputError` as `find_runs` does.
    """
    if seconds < 1:
        raise InputError(f"--every must be at least 1 second, got {seconds}")
    runs = find_runs(paths)
    seen, runs = _stamps(runs), find_runs(paths)  # in this order: the next check sees a change between them
    written = None
    unchanged = 0.0
    idle = 0.0 if any(run.is_training for run in runs) else math.inf
    try:
        while idle <= (GRACE if _may_grow(paths) else 0.0):
            state = "; ".join(f"{run.name}: {run.state}" for run in runs)
            if seen != written:
                write_page(make_report(runs, title), page, live=Live(seconds, state))
                say(state)
                written, unchanged = seen, 0.0
            sleep(POLL)
            unchanged += POLL
            if idle or _stamps(runs) != seen or unchanged >= PATIENCE:
                seen, runs, unchanged = _stamps(runs), find_runs(paths), 0.0
                idle = 0.0 if any(run.is_training for run in runs) else idle + POLL
    finally:  # also after Ctrl-C, so that the page does not reload any more
        write_page(make_report(runs, title), page, files)


def _may_grow(paths: Sequence[str | Path]) -> bool:
    """Whether further runs may begin in a folder: in folders of runs, one after the other with --seeds."""
    return any(not (Path(expand_home(path)) / CONFIG).is_file() for path in paths)


def _stamps(runs: Sequence[Run]) -> list[tuple[str, int, int]]:
    """The times at which the text files of the runs were last written."""
    found = []
    for run in runs:
        for pattern in ("*.csv", "*.json", "deploy*/*.json"):
            for path in sorted(run.folder.glob(pattern)):
                stat = path.stat()
                found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return found
