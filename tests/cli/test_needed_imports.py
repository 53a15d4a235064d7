"""Commands that lack the user's own code say which -import they need, or that -import registers names."""

import json
from pathlib import Path

import pytest
from own_code import NETWORK
from refusals import fails

from clif.cli import main

NEURON = """
import clif


@clif.register_neuron("Mine")
class MineNode(clif.LIFNode):
    pass
"""


@pytest.mark.parametrize(
    "line",
    [
        "predict run image.png",
        "analyze rates run",
        "bench infer --checkpoint run",
        "report run --measure 8",
        "train run/config.yaml --print-config",
        "train -model my_net -resume run --print-config",
        "train -model my_net -pre_train run/checkpoint_last.pth --print-config",
        "experiment neurons run/config.yaml",
        "experiment neurons -model my_net -pre_train run",
    ],
)
def test_what_a_run_or_checkpoint_recorded_is_asked_for(line, own_code_run, capsys):
    own_code_run.rename("run")
    error = fails(capsys, *line.split())
    assert "run" in error
    assert "was made with your own code: add --import my_net.py (in Python, import it first)" in error
    assert error.count("-import") == 1


def test_an_experiment_that_resumes_needs_the_code_of_its_runs(own_code, capsys):
    path = own_code.write("my_neuron.py", NEURON)
    own_code.write("seen.py", "")
    for kind, name, file in (("Mine", "Mine_seed0", "my_neuron.py"), ("LIF", "LIF_seed0", "seen.py")):
        run = own_code.folder / "out" / "runs" / name
        run.mkdir(parents=True)
        record = {"given": file, "module": Path(file).stem, "path": str(path.with_name(file)), "sha256": "0" * 64}
        (run / "environment.json").write_text(json.dumps([{"imports": [record]}]))
        line = f"experiment neurons --out out --neurons {kind} --seeds 0"
        assert f"{name} was made with your own code: add --import {file}" in fails(capsys, *line.split())


@pytest.mark.parametrize(
    "line",
    [
        "data check mine",
        "data prepare mine",
        "data show mine",
        "data download mine",
        "bench neuron --neuron Mine",
        "bench step --model mine",
        "bench step --neuron Mine",
        "bench infer --model mine",
        "bench infer --neuron Mine",
        "analyze rates --neuron Mine",
        "analyze rates --dataset mine",
        "experiment neurons --neurons Mine,LIF",
        "experiment neurons --dataset mine",
        "train -loss mine",
        "train -opt mine",
        "train -lr_scheduler mine",
        "train -surrogate mine",
        "train -exchange_neuron Mine -exchange_epoch 1",
    ],
)
@pytest.mark.usefixtures("own_code")
def test_an_unknown_name_may_be_one_of_the_users(line, capsys):
    error = fails(capsys, *line.split())
    assert "unknown " in error
    assert error.endswith("(a name of your own needs --import FILE, which registers it)")


def test_there_is_no_hint_where_it_would_not_help(own_code, capsys):
    own_code.write("seen.py", "")
    for line in ("data check mine -import seen.py", "models mine", "train none", "train -amp_dtype mine"):
        assert "-import" not in fails(capsys, *line.split())


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_memory_of_a_step_is_measured_with_the_users_code(own_code, capsys):
    own_code.write("my_net.py", NETWORK)
    line = "bench step --model my_net -T 1 --batch 2 --rounds 1 --contestants ours -import my_net.py"
    assert main(line.split()) == 0
    assert "peak MiB" in capsys.readouterr().out
