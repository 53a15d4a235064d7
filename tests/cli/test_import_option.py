"""`--import` of the commands: the user's own network trains, is evaluated and deployed; nothing else imports code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from own_code import NETWORK, TRAIN_MY_NET
from refusals import fails

import clif
from clif.cli import main
from clif.errors import InputError
from clif.train.checkpoint import read_checkpoint
from clif.train.config import resolve

LINE = f"{TRAIN_MY_NET} --max-steps 1"


@pytest.fixture
def network(own_code):
    """my_net.py in the current folder."""
    own_code.write("my_net.py", NETWORK)
    return own_code


def test_the_run_and_its_checkpoints_record_what_was_imported(own_code_run):
    (start,) = json.loads(Path(own_code_run, "environment.json").read_text())
    (record,) = start["imports"]
    assert record["given"] == "my_net.py"
    assert record["module"] == "my_net"
    assert record["path"] == str(Path("my_net.py").resolve())
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    assert read_checkpoint(own_code_run)["imports"] == [record]
    assert not {"import", "imports"} & yaml.safe_load(Path(own_code_run, "config.yaml").read_text()).keys()


def test_names_are_checked_after_the_import(network, capsys):
    assert "unknown model 'my_net'" in fails(capsys, *f"train {LINE}".split())
    assert main(["train", "--import=my_net.py", *LINE.split(), "--print-config"]) == 0
    assert "model: my_net" in capsys.readouterr().out
    network.new_process()
    network.write("other.py", "import my_net")
    assert main(["train", "--import", "other", "--import", "my_net", *LINE.split(), "--print-config"]) == 0


def test_a_checkpoint_is_evaluated_and_deployed_with_its_code_only(own_code_run, own_code, capsys):
    needs = (
        r"clif: error: .* add --import my_net\.py \(in Python, import it first\); without it: unknown model 'my_net'"
    )
    for line in (
        "eval {}",
        "deploy {}",
        "energy {}",
        "export {} --format torch",
        "eval --resume {}/checkpoint_last.pth",
    ):
        assert re.match(needs, fails(capsys, *line.format(own_code_run).split()))
    with pytest.raises(InputError, match=r"add --import my_net\.py \(in Python, import it first\)"):
        clif.load(own_code_run)
    words = ["--import", "my_net.py"]
    assert main(["eval", str(own_code_run), *words]) == 0
    assert main(["deploy", str(own_code_run), "-v_resets", "0", *words]) == 0
    assert main(["energy", str(own_code_run), "--images", "8", *words]) == 0
    assert main(["export", str(own_code_run), "--format", "torch", *words]) == 0
    assert "my_net" in capsys.readouterr().out
    own_code.new_process()
    assert re.match(needs, fails(capsys, *f"eval {own_code_run}/deploy/checkpoint_lif.pth".split()))


def test_an_error_in_the_code_is_one_line(network, capsys):
    path = network.write("broken.py", "import clif\nclif.no_such_name\n")
    error = fails(capsys, "train", "digits", "--import", "broken.py")
    assert error.startswith(f"clif: error: --import broken.py failed in {path}, line 2: AttributeError: ")
    assert "--import none.py: there is no such file" in fails(
        capsys, "train", "digits", "--import", "my_net.py", "--import", "none.py"
    )
    assert "--import: expected one argument" in fails(capsys, "train", "digits", "--import")


@pytest.mark.parametrize(
    "text",
    [
        "dataset: digits\nimports: [harm.py]\n",
        "dataset: digits\nimport: harm.py\n",
        "config:\n  dataset: digits\n  imports: [harm.py]\n",
        "imports: [harm.py]\nconfig:\n  dataset: digits\n",
    ],
)
def test_a_recipe_that_names_code_is_refused(own_code, text, capsys):
    own_code.write("harm.py", "open('harm', 'w')")
    own_code.write("recipe.yaml", text)
    error = fails(capsys, "train", "recipe.yaml")
    assert re.search(
        r"recipe\.yaml: a recipe cannot import code \(imports?\); give --import on the command line$", error
    )
    assert not Path("harm").exists()


def test_the_configuration_of_a_run_with_imports_is_a_recipe(own_code_run):
    with pytest.raises(InputError, match="unknown model 'my_net'"):
        resolve(f"{own_code_run}/config.yaml")
    assert main(["train", f"{own_code_run}/config.yaml", "--import", "my_net.py", "--print-config"]) == 0


def test_nothing_that_a_checkpoint_or_a_run_names_is_imported(own_code_run, own_code, capsys):
    harm = own_code.write("harm.py", "open('harm', 'w')")
    record = {"given": "harm.py", "module": "harm", "path": str(harm), "sha256": "0" * 64}
    content = read_checkpoint(own_code_run)
    content["imports"] = [record]
    torch.save(content, "net.pth")
    start = {"imports": [record]}
    Path(own_code_run, "environment.json").write_text(json.dumps([start]))
    for line in ("eval net.pth", f"train --resume-run {own_code_run}"):
        assert "add --import harm.py" in fails(capsys, *line.split())
    with pytest.raises(InputError, match=r"add --import harm\.py"):
        clif.load("net.pth")
    content["config"]["imports"] = ["harm.py"]
    torch.save(content, "net.pth")
    assert "imports" in fails(capsys, "eval", "net.pth", "--import", "my_net.py")
    assert not Path("harm").exists()


def test_a_damaged_record_of_a_checkpoint_is_named(own_code_run, capsys):
    content = read_checkpoint(own_code_run)
    content["imports"] = "my_net.py"
    torch.save(content, "net.pth")
    assert "'imports' holds a str, not a list" in fails(capsys, "eval", "net.pth")


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.usefixtures("network")
def test_every_process_of_a_training_imports_the_code():
    pytest.importorskip("lightning_fabric")
    script = NETWORK + "\nimport os\nopen('process' + os.environ.get('LOCAL_RANK', '0'), 'w').close()\n"
    Path("my_net.py").write_text(script)
    command = [sys.executable, "-m", "clif", "train", "--import", "my_net.py", *LINE.split()]
    done = subprocess.run(
        [*command, "--devices", "2", "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in Path().glob("process*")) == ["process0", "process1"]
