"""The limits of the convolutions of spikes, from the committed measurements."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from clif import precision
from clif.ops import isa, spike_conv_limits
from clif.ops.spike_conv_limits import FALLBACK, NEVER, TABLE, Limits, limits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
MEASURED = sorted(path.parent.name for path in RESULTS.glob("*/spike_conv.json"))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("spike_conv_benchmark", BENCHMARKS / "spike_conv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_of_the_table_was_measured():
    assert sorted(TABLE) == MEASURED


@pytest.mark.parametrize("name", MEASURED)
def test_the_table_is_that_of_the_measurements(script, name):
    text = (RESULTS / name / "spike_conv.json").read_text()
    measured = json.loads(text)
    assert script.as_text(measured) == text
    rows = measured["rows"]
    assert {kind: script.limits_of(found) for kind, found in rows.items()} == TABLE[name]


def measurements(slow):
    """Ratios by rate, channels and pixels: 2 if slow(row), else 0.5."""
    rows = [
        {"rate": rate, "channels": channels, "pixels": pixels}
        for rate in (0.1, 0.2, 0.3, 0.4)
        for channels in (16, 32, 64)
        for pixels in (64, 128, 1024)
    ]
    return [{**row, "ratio": 2.0 if slow(row) else 0.5} for row in rows]


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        (lambda _: False, Limits(0.4, 16, 64)),
        (lambda _: True, NEVER),
        (lambda row: row["channels"] < 32, Limits(0.4, 32, 64)),
        (lambda row: row["pixels"] < 128 or row["rate"] > 0.2, Limits(0.2, 16, 128)),
        (lambda row: row["rate"] > (0.3 if row["channels"] < 64 else 0.4), Limits(0.3, 16, 64)),
        (lambda row: row["rate"] > (0.1 if row["channels"] < 64 else 0.4), Limits(0.4, 64, 64)),
        # A single slower measurement among so many does not exclude the others.
        (lambda row: (row["rate"], row["channels"], row["pixels"]) == (0.2, 32, 128), Limits(0.4, 16, 64)),
    ],
)
def test_limits_save_most_and_are_seldom_slower(script, slow, expected):
    assert script.limits_of(measurements(slow)) == expected


def test_a_set_without_measurements_has_the_narrowest_limits(monkeypatch):
    table = {"a": {"float32": Limits(0.3, 32, 128)}, "b": {"float32": Limits(0.1, 16, 512)}}
    monkeypatch.setattr(spike_conv_limits, "TABLE", table)
    assert limits(torch.float32) == Limits(0.1, 32, 512)


@pytest.mark.parametrize("name", isa.available())
def test_bfloat16_is_measured_for_what_multiplies_it(name, monkeypatch):
    monkeypatch.setattr(isa, "PROCESSOR_BFLOAT16", "vectors")
    for used in (True, False):
        monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda used=used: used)
        with isa.using(name):
            has_unit = isa.bfloat16_unit() != "none"
            assert spike_conv_limits.kind_of(torch.bfloat16) == ("bfloat16" if used and has_unit else FALLBACK)
            assert limits(torch.float32) == TABLE[name]["float32"]


def test_tiles_leave_bfloat16_to_pytorch(monkeypatch):
    monkeypatch.setattr(isa, "PROCESSOR_BFLOAT16", "tiles")
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: True)
    assert limits(torch.bfloat16) == NEVER
    assert limits(torch.float32).rate > 0


def test_the_page_shows_the_table():
    page = (RESULTS.parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name, row in TABLE.items():
        for kind, (rate, channels, pixels) in row.items():
            line = f"| {isa.IN_WORDS[name]} | {kind} | ≤ {rate * 100:.0f} % | ≥ {channels} | ≥ {pixels} |"
            assert line in page, line
