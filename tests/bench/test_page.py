"""docs/benchmarks.md is what benchmarks/page.py makes of the stored results."""

import importlib.util
from pathlib import Path

import pytest

from clif.bench.report import read_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The script, writing into a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("page", ROOT / "benchmarks" / "page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "PICTURE", tmp_path / "sweep.png")
    monkeypatch.setattr(script, "PAGE", tmp_path / "benchmarks.md")
    script.PAGE.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    return script


def test_the_page_shows_the_stored_results(page):
    page.render()
    assert page.PAGE.read_text() == (ROOT / "docs" / "benchmarks.md").read_text()
    assert page.PICTURE.stat().st_size > 10_000


def test_the_picture_shows_every_contestant_that_was_timed(page):
    report = read_report(page.RESULTS / "neuron_sweep.json")
    timed = {row.name for row in report.rows if row.timing is not None}
    panels = page.draw(report).axes
    for panel in panels:
        lines = {line.get_label(): line for line in panel.lines}
        assert set(lines) == {page.STYLES[name][0] for name in timed & set(page.STYLES)}
        assert all(len(line.get_xdata()) >= 5 for line in lines.values())


def test_a_page_without_its_markers_is_refused(page):
    page.PAGE.write_text("# Benchmarks\n")
    with pytest.raises(SystemExit, match="the markers <!-- begin neuron --> … <!-- end neuron --> must be there once"):
        page.render()
