"""Progress: a bar on a terminal, a line from time to time elsewhere."""

import io
import sys

import pytest

from clif import progress
from clif.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def count(total=30, **options):
    with progress_bar(total, "epoch 1/2", **{"quiet": False, **options}) as bar:
        for _ in range(3):
            bar.set_postfix(loss="0.5", refresh=False)
            bar.update(10)


def test_where_stderr_is_no_terminal_it_writes_whole_lines(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    count()
    shown = capsys.readouterr().err
    assert "\r" not in shown
    assert "\x1b" not in shown
    assert shown.endswith("\n")
    lines = shown.splitlines()
    assert lines[-1].startswith("epoch 1/2: 30 of 30 img (100 %), 00:00 left, 00:00 passed, ")
    assert lines[-1].endswith("img/s, loss=0.5")


def test_what_takes_less_than_10_seconds_writes_nothing_there(capsys):
    count()
    assert capsys.readouterr().err == ""


def test_an_unknown_total_is_left_out_of_the_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    count(total=0, unit="B", unit_scale=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 1/2: 30.0 B, 00:00 passed, ")


def test_bars_within_bars_are_lines_too(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with progress_bar(2, "outer", quiet=False) as outer:
        count()
        outer.update()
        count()
    shown = capsys.readouterr().err
    assert "\r" not in shown
    assert all(line.startswith(("outer: ", "epoch 1/2: ")) for line in shown.splitlines())


def test_on_a_terminal_it_draws_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    count()
    assert "\repoch 1/2:   0%|" in terminal.getvalue()


@pytest.mark.parametrize("stderr", [None, io.StringIO(), Terminal()])
def test_quiet_or_no_stderr_writes_nothing(stderr, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    count(quiet=stderr is not None)
    assert stderr is None or stderr.getvalue() == ""
