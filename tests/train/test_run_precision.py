"""The messages and records of a run's precision, and continuing in another precision."""

import io
import json

import pytest
import torch

from clif import precision
from clif.train import loop
from clif.train.callbacks import JsonLines
from clif.train.checkpoint import read_checkpoint, save_checkpoint
from clif.train.resume import LAST
from clif.trained_network import evaluate_checkpoint

SLOW = "bfloat16 is slow here: the processor has no instructions for bfloat16"


@pytest.fixture
def options():
    """A run of a single step of the optimiser."""
    return {"amp": True, "epochs": 1, "max_steps": 1}


def slow_warnings(caplog):
    return [record.message for record in caplog.records if "slow" in record.message]


def starts(folder):
    return [entry["precision"] for entry in json.loads((folder / "environment.json").read_text())]


@pytest.mark.usefixtures("slow_bfloat16")
def test_auto_computes_in_float32_where_bfloat16_is_slow_and_says_so_once(config, options, capsys, caplog):
    results = [loop.fit(config(**options, seed=seed)) for seed in (0, 1)]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("precision:")]
    assert lines == [f"precision: float32 ({SLOW})"]
    assert slow_warnings(caplog) == []
    for result in results:
        assert starts(result.folder) == [{"computed_in": "float32", "asked": "auto", "why": SLOW}]
        assert result.summary["precision"] == "float32"
        assert read_checkpoint(result.folder / LAST)["precision"] == "float32"


@pytest.mark.usefixtures("slow_bfloat16")
def test_float32_by_auto_is_float32_to_the_bit(config, options, tmp_path):
    weights = []
    for number, amp in enumerate((True, False)):
        chosen = {**options, "amp": amp, "out_dir": str(tmp_path / str(number))}
        folder = loop.fit(config(**chosen), quiet=True).folder
        weights.append(read_checkpoint(folder / LAST)["net"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.usefixtures("fast_bfloat16")
def test_auto_computes_in_bfloat16_where_that_is_fast(config, options, capsys):
    result = loop.fit(config(**options))
    assert "precision: bfloat16 autocast (the processor has AVX-512 BF16)\n" in capsys.readouterr().out
    assert starts(result.folder)[0]["computed_in"] == "bfloat16"


@pytest.mark.usefixtures("slow_bfloat16")
def test_an_explicit_choice_is_obeyed_with_one_warning(config, options, caplog):
    for seed in (0, 1):
        result = loop.fit(config(**options, amp_dtype="bfloat16", seed=seed), quiet=True)
        assert result.summary["precision"] == "bfloat16"
    assert slow_warnings(caplog) == [f"{SLOW}; --amp-dtype auto would choose the fastest"]
    assert starts(result.folder)[0]["slow"] == "the processor has no instructions for bfloat16"


def resumed(folder, config, options, caplog, **given):
    caplog.clear()
    lines = io.StringIO()
    result = loop.fit(config(**{**options, "max_steps": 2, **given}, resume=str(folder)), True, [JsonLines(lines)])
    said = [record.message for record in caplog.records if "resumed in" in record.message]
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [event["message"] for event in events if event["event"] == "warning"] == said
    assert events[0]["precision"] == result.summary["precision"]
    return said


def test_a_run_resumed_in_another_precision_says_so(config, options, caplog, monkeypatch):
    monkeypatch.setattr(precision, "pytorch_uses_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "AMX")
    folder = loop.fit(config(**options), quiet=True).folder
    assert resumed(folder, config, options, caplog, out_dir=f"{folder}-same") == []
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: "")
    message = "resumed in float32, but the run was computed in bfloat16 before"
    assert resumed(folder, config, options, caplog, out_dir=f"{folder}-slow") == [message]
    assert resumed(folder, config, options, caplog, out_dir=f"{folder}-off", amp=False) == [message]


@pytest.mark.usefixtures("slow_bfloat16")
@pytest.mark.parametrize(
    ("said", "before"),
    [
        ({"scaler": {}, "config": {"amp": True, "dtype": "float32"}}, "bfloat16"),
        ({"scaler": {"scale": 2.0}, "config": {"amp": True}}, "float16"),
        ({"scaler": {}, "config": {"amp": False}}, None),
        ({"config": None}, None),
    ],
)
def test_a_checkpoint_that_does_not_say_it(config, options, caplog, said, before):
    """Checkpoints of the first version, and of the original."""
    folder = loop.fit(config(**options), quiet=True).folder
    content = read_checkpoint(folder / LAST)
    del content["precision"]
    if said["config"] is None:
        del content["config"]
    else:
        content |= {**said, "config": {**content["config"], **said["config"]}}
    save_checkpoint(folder / LAST, content)
    expected = [] if before is None else [f"resumed in float32, but the run was computed in {before} before"]
    assert resumed(folder, config, options, caplog, out_dir=f"{folder}-on") == expected


@pytest.mark.usefixtures("fast_bfloat16")
def test_an_evaluation_is_in_float32_unless_amp_dtype_is_given(config, options, monkeypatch):
    folder = loop.fit(config(**options), quiet=True).folder
    seen = []
    convolve = torch.nn.Conv2d._conv_forward

    def noting(module, x, weight, bias):
        result = convolve(module, x, weight, bias)
        seen.append(result.dtype)
        return result

    monkeypatch.setattr(torch.nn.Conv2d, "_conv_forward", noting)
    for given, expected in (
        ({}, torch.float32),
        ({"amp": True}, torch.float32),
        ({"amp_dtype": "auto"}, torch.bfloat16),
    ):
        seen.clear()
        report = evaluate_checkpoint(folder, given)
        assert set(seen) == {expected} == {report.precision.dtype}


@pytest.mark.usefixtures("slow_bfloat16")
def test_an_evaluation_obeys_an_explicit_choice_with_one_warning(config, options, caplog):
    folder = loop.fit(config(**options), quiet=True).folder
    assert evaluate_checkpoint(folder, {"amp_dtype": "auto"}).precision.name == "float32"
    for _ in range(2):
        assert evaluate_checkpoint(folder, {"amp_dtype": "bfloat16"}).precision.name == "bfloat16"
    assert slow_warnings(caplog) == [f"{SLOW}; --amp-dtype auto would choose the fastest"]
