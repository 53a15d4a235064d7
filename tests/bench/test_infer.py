"""clif bench infer: what it times, compares and refuses."""

import json

import pytest

import clif.bench.infer_contestants as contestants
from clif.bench import infer
from clif.bench.settings import InferSettings
from clif.cli import main
from clif.errors import InputError
from clif.models import create_model
from clif.train.checkpoint import save_checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    net = create_model("snn5_noAP", "CLIF", T=2)
    config = {"dataset": "digits", "model": "snn5_noAP", "neuron": "CLIF", "T": 2}
    save_checkpoint(tmp_path / "c.pth", {"net": net.state_dict(), "model": net.config, "config": config})
    return tmp_path / "c.pth"


@pytest.mark.usefixtures("fast_bfloat16")
def test_each_way_is_timed_at_each_batch_size_and_judged(checkpoint):
    settings = InferSettings(checkpoint=str(checkpoint), images=20, batches=(1, 3), rounds=1)
    report = infer.run(settings)
    assert [(row.name, row.figures["batch"]) for row in report.rows if row.timing] == [
        (name, size) for size in (1.0, 3.0) for name in contestants.DEFAULT_WAYS
    ]
    plain = report.rows[0].figures
    assert (plain["agreement %"], plain["of plain"]) == (100, 1)
    for row in report.rows:
        assert 0 <= row.figures["accuracy %"] <= 100
        assert row.figures["images/s"] == pytest.approx(row.figures["batch"] / row.timing.median * 1e3)
    assert report.settings["model"] == "snn5_noAP"


def test_no_time_for_a_way_that_predicts_something_else(checkpoint, monkeypatch):
    wrong = contestants.Way("wrong", "float32", lambda net: lambda x: -net(x))
    monkeypatch.setitem(contestants.WAYS, "ours", wrong)
    settings = InferSettings(checkpoint=str(checkpoint), images=20, batches=(1,), rounds=1, contestants=("ours",))
    report = infer.run(settings)
    assert [row.timing for row in report.rows] == [None]
    assert "no time is reported" in report.rows[0].note


def test_random_images_have_no_accuracy():
    settings = InferSettings(model="snn5_noAP", T=1, images=4, batches=(2,), rounds=1, contestants=("plain", "int8"))
    report = infer.run(settings)
    assert all("accuracy %" not in row.figures for row in report.rows)


def test_the_command_prints_and_writes(tmp_path, capsys):
    target = tmp_path / "infer.json"
    options = ["--model", "snn5_noAP", "-T", "1", "--batch", "1", "2", "--images", "4", "--rounds", "1"]
    assert main(["bench", "infer", *options, "--contestants", "plain,int8", "--json", str(target)]) == 0
    assert "agreement %" in capsys.readouterr().out
    assert len(json.loads(target.read_text())["rows"]) == 4


def test_mistakes_are_input_errors(capsys):
    with pytest.raises(InputError, match="images must be at least 1"):
        InferSettings(images=0)
    with pytest.raises(InputError, match="on a CPU"):
        InferSettings(device="cuda")
    assert main(["bench", "neuron", "--images", "3"]) == 2
    assert "--images is an option of clif bench infer" in capsys.readouterr().err
    for option in (["--model", "snn5_noAP"], ["--neuron", "LIF"], ["-T", "2"]):
        assert main(["bench", "infer", "--checkpoint", "x.pth", *option]) == 2
        assert f"{option[0]}: the checkpoint defines its network" in capsys.readouterr().err
    assert main(["bench", "infer", "--data-dir", "x"]) == 2
    assert "it needs --checkpoint" in capsys.readouterr().err
    assert main(["bench", "step", "--batch", "1", "2"]) == 2


@pytest.mark.usefixtures("slow_bfloat16")
def test_bfloat16_is_left_out_where_it_is_slow_unless_it_is_named(tmp_path):
    small = {"model": "snn5_noAP", "T": 1, "images": 4, "batches": (1,), "rounds": 1}
    rows = {row.name: row for row in infer.run(InferSettings(**small)).rows}
    assert {name for name, row in rows.items() if row.timing is None} == {"ours-bfloat16"}
    assert rows["ours-bfloat16"].note == (
        "left out: the processor has no instructions for bfloat16; --contestants ours-bfloat16 times it anyway"
    )
    named = infer.run(InferSettings(**small, contestants=("ours-bfloat16",)))
    assert [row.timing is not None for row in named.rows] == [True]
    options = ["--model", "snn5_noAP", "-T", "1", "--batch", "1", "--images", "4", "--rounds", "1"]
    assert main(["bench", "infer", *options, "--json", str(tmp_path / "i.json")]) == 0
    shown = {row["name"]: row["note"] for row in json.loads((tmp_path / "i.json").read_text())["rows"]}
    assert shown["ours-bfloat16"] == rows["ours-bfloat16"].note


@pytest.mark.usefixtures("fast_bfloat16")
def test_bfloat16_is_timed_where_it_is_fast():
    settings = InferSettings(model="snn5_noAP", T=1, images=4, batches=(1,), rounds=1)
    assert {row.name for row in infer.run(settings).rows if row.timing} == set(contestants.DEFAULT_WAYS)
