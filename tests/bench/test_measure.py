import gc
import json
import os
import time
import weakref
from pathlib import Path

import pytest
import torch

from clif.bench import measure, report
from clif.bench.fresh_process import in_fresh_process
from clif.bench.machine import LOWERING, describe, in_words
from clif.bench.peak_memory import peak_of, print_peak
from clif.bench.report import Report, Row, read_report
from clif.bench.settings import select
from clif.errors import InputError

CPU = torch.device("cpu")


def test_contestants_take_turns():
    calls = []
    runs = {"a": lambda: calls.append("a") or time.sleep(0.003), "b": lambda: calls.append("b") or time.sleep(0.003)}
    timings = measure.measure(runs, rounds=3, device=CPU)
    assert calls == ["a", "a", "b", "b"] * (3 + measure.WARM_UP_ROUNDS)
    assert all(timing.rounds == 3 and timing.fastest >= 3 for timing in timings.values())


def test_a_short_call_is_repeated_and_its_time_is_that_of_one_call(monkeypatch):
    calls = []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: 2e-4 * len(calls))
    timing = measure.measure({"short": lambda: calls.append(0)}, rounds=3, device=CPU)["short"]
    warm_up = (1 + 1) + (1 + 10)
    assert len(calls) == warm_up + 3 * (1 + 10)
    assert timing.median == pytest.approx(0.2)


def test_the_summary_is_the_median_and_its_quartiles():
    timing = measure.summarise([5.0, 1.0, 3.0, 2.0, 4.0])
    assert timing == measure.Timing(median=3.0, low=2.0, high=4.0, fastest=1.0, rounds=5)
    assert measure.summarise([2.0]) == measure.Timing(2.0, 2.0, 2.0, 2.0, 1)


def test_threads_are_set_inside_only():
    before = torch.get_num_threads()
    with measure.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_bytes_kept_counts_each_storage_once():
    x = torch.randn(1000, requires_grad=True)
    assert measure.bytes_kept(lambda: x * 2) == 0
    assert measure.bytes_kept(lambda: x.view(10, 100).square() + x.view(10, 100).exp()) == 2 * x.nbytes
    assert measure.bytes_kept(lambda: (x * x).sum()) == x.nbytes


def test_bytes_kept_lets_go_of_what_was_kept():
    outputs = []

    def forward():
        x = torch.randn(1000, requires_grad=True).sigmoid()
        outputs.append(weakref.ref(x))
        return x

    assert measure.bytes_kept(forward) == 4000
    gc.collect()
    assert [output() for output in outputs] == [None]


def allocate(mib: str) -> None:
    print_peak(lambda: torch.ones(int(mib) * 2**18), CPU)


@pytest.mark.multiprocess
def test_peak_memory_is_that_of_the_other_process(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    ballast = torch.ones(500 * 2**18)
    peak = peak_of("test_measure:allocate", "300")
    assert 295 <= peak.most - peak.before <= 330
    assert ballast.sum() > 0


def test_a_failure_in_a_process_that_measures_is_named():
    with pytest.raises(InputError, match=r"exit code 1.*invalid literal for int"):
        in_fresh_process("builtins:int", "x")


def rows():
    timing = measure.Timing(1234.5, 1.0, 0.012345, 0.5, 3)
    return [
        Row("fast", "float32", timing, "", {"bytes kept": 4.0}),
        Row("gone", "float32", None, "not installed"),
        Row("gone", "bfloat16", None, "not installed"),
    ]


def a_report():
    return Report("neuron", {"shape": [6, 4], "threads": None}, describe(CPU, 2), rows())


def test_a_report_survives_its_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(a_report().to_json())
    assert read_report(path) == a_report()


def test_a_report_names_machine_settings_and_reasons():
    text = report.as_text(a_report(), ["bytes kept"])
    assert "shape 6 4" in text
    assert "threads None" not in text
    assert f"torch {torch.__version__}" in text
    assert "2 threads" in text
    assert "1234  [1, 0.0123]" in text or "1235  [1, 0.0123]" in text
    assert "gone float32, gone bfloat16: not installed" in text
    table = report.as_markdown(["", "ms"], [["cpu", "1"], ["torch", "20"]], labels=1).splitlines()
    assert table == ["|  | ms |", "| --- | ---: |", "| cpu | 1 |", "| torch | 20 |"]


@pytest.fixture
def not_lowered(monkeypatch):
    for name in LOWERING:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("not_lowered")
def test_a_machine_is_described_in_plain_values():
    machine = describe(CPU, 3)
    assert json.loads(json.dumps(machine)) == machine
    assert "3 threads" in in_words(machine)
    assert "lowered" not in machine


@pytest.mark.usefixtures("not_lowered")
def test_a_lowered_machine_says_so(monkeypatch):
    for name, value in (("ATEN_CPU_CAPABILITY", "avx2"), ("ONEDNN_MAX_CPU_ISA", "AVX2")):
        monkeypatch.setenv(name, value)
    machine = describe(CPU, 3)
    assert machine["lowered"] == {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert "PyTorch lowered by ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2;" in in_words(machine)


@pytest.mark.parametrize("content", ["", "[]", '{"benchmark": "neuron"}', '{"rows": [{"a": 1}]}'])
def test_a_file_that_is_no_report_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json: not a report of clif bench"):
        read_report(tmp_path / "x.json")
    with pytest.raises(InputError, match="no such file"):
        read_report(tmp_path / "y.json")


def test_contestants_are_named_by_their_beginning():
    known = ["torch", "torch.compile", "SpikingJelly LIFNode"]
    assert select([], known) == known
    assert select(["torch"], known) == ["torch"]
    assert select(["spiking", "torch."], known) == ["torch.compile", "SpikingJelly LIFNode"]
    with pytest.raises(InputError, match=r"unknown contestant 'troch'; did you mean torch"):
        select(["troch"], known)
