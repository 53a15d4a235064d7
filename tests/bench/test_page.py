"""docs/benchmarks.md is the output of benchmarks/page.py for the stored results."""

import dataclasses
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

from clif.bench.report import read_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The script, which writes into a folder of the test."""
    spec = importlib.util.spec_from_file_location("page", ROOT / "benchmarks" / "page.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "page", script)
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
    report = next(iter(page.stored("neuron_sweep").values()))
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


def test_processors_stand_side_by_side(page, tmp_path, monkeypatch):
    shutil.copytree(page.RESULTS / "avx512_bf16", tmp_path / "results" / "avx512_bf16")
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results")
    report = read_report(tmp_path / "results" / "avx512_bf16" / "step.json")
    slow = "left out: the processor has no instructions for bfloat16"
    rows = [
        dataclasses.replace(row, timing=None, note=slow, figures={}) if row.dtype == "bfloat16" else row
        for row in report.rows
    ]
    lowered = {"CLIF_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2"}
    other = dataclasses.replace(report, rows=rows, machine={**report.machine, "lowered": lowered})
    (tmp_path / "results" / "avx2").mkdir()
    (tmp_path / "results" / "avx2" / "step.json").write_text(other.to_json())
    block = page.block("step", page.stored("step")).splitlines()
    header = [cell.strip() for cell in block[0].split("|")[1:-1]]
    cells = ("ms", "of plain", "images/s", "peak MiB")
    kinds = ("AVX-512 with BF16", "AVX2, lowered")
    assert header == ["", "dtype", *(f"{kind}<br>{cell}" for kind in kinds for cell in cells)]
    by_name = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[2:] for line in block[2:]}
    assert by_name["ours"][:4] == [cell.removesuffix(" |") for cell in by_name["ours"][4:]]
    assert by_name["ours-bfloat16"][4:] == ["–", "", "", " |"]
    assert "- AVX2, lowered: ours-bfloat16 bfloat16, ours-bfloat16-bits bfloat16: " + slow in block
    assert "- ours float32: " in "\n".join(block)
    assert any("PyTorch lowered by ATEN_CPU_CAPABILITY=avx2;" in line for line in block)


def test_what_was_not_measured_is_said(page, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    assert page.block("demo", page.stored("demo")) == "Not measured yet."


@pytest.mark.slow
def test_the_demo_is_timed(page, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    report = page.demo("-epochs", "1")
    (row,) = report.rows
    assert row.timing.median > 1000
    assert row.figures["CLIF images/s"] > 1
    assert row.figures["LIF images/s"] > 1
    kind = tmp_path / "avx2"
    kind.mkdir()
    (kind / "demo.json").write_text(report.to_json())
    assert json.loads((kind / "demo.json").read_text())["rows"][0]["dtype"] == row.dtype
    shown = page.block("demo", page.stored("demo"))
    assert f"| clif demo | {row.timing.median / 1e3:.3g} | {row.dtype} |" in shown
