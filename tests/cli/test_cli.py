"""The program `clif`: help, one-line errors, and all commands on digits."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from refusals import fails

import clif
import clif.cli
from clif.cli import main
from clif.models import create_model
from clif.train.config import list_recipes, resolve


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"clif {clif.__version__}"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("-lr 0.1", "--lr needs --method finetune"),
        ("-epochs 3", "--epochs needs --method finetune"),
        ("-amp False", "unknown option of clif deploy"),
        ("-resume x.pth", "unknown option of clif deploy"),
    ],
)
def test_deploy_refuses_options_that_would_change_nothing(capsys, option, message):
    assert message in fails(capsys, "deploy", "x.pth", *option.split())


def test_eval_refuses_two_checkpoints(capsys):
    assert "two checkpoints" in fails(capsys, "eval", "a.pth", "-resume", "b.pth")


@pytest.mark.parametrize(
    ("line", "wrong", "nearest"),
    [
        ("trian", "trian", "train"),
        ("evaluate", "evaluate", "eval"),
        ("--versoin", "--versoin", "--version"),
        ("train -datset digits", "-datset", "--dataset"),
        ("train --weight-decy 1", "--weight-decy", "--weight-decay"),
        ("eval x.pth -neurom CLIF", "-neurom", "--neuron"),
        ("deploy x.pth -v_reset 0", "-v_reset", "--v-resets"),
        ("train -dataset digit", "digit", "digits"),
        ("train -dataset cifar-10", "cifar-10", "cifar10"),
        ("train -dataset digits -model spiking_resnet19", "spiking_resnet19", "spiking_resnet18"),
        ("train -dataset digits -model snn5_noAP -neuron CLIFF", "CLIFF", "CLIF"),
        ("train -dataset digits -model snn5_noAP -surrogate sigmiod", "sigmiod", "sigmoid"),
        ("train -opt SDG", "SDG", "SGD"),
        ("train cifar10_resnet", "cifar10_resnet", "cifar10_resnet18"),
        ("recipes digit", "digit", "digits"),
        ("models spiking_resnet81", "spiking_resnet81", "spiking_resnet18"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(line, wrong, nearest, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    error = fails(capsys, *line.split())
    assert f"'{wrong}'" in error
    assert re.search(rf"did you mean .*{re.escape(nearest)}\b", error)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_of_a_recipe_is_one_line_with_the_nearest(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("config:\n  datset: digits\n")
    error = fails(capsys, "train", tmp_path / "mine.yaml")
    assert f"{tmp_path}/mine.yaml: unknown configuration key 'datset'; did you mean dataset" in error


def test_a_value_of_a_recipe_of_another_type_is_one_line_with_the_file(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("config:\n  epochs: many\n")
    assert f"{tmp_path}/mine.yaml: epochs must be an int" in fails(capsys, "train", tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", ["run", "run/x.png", "../run", "run/x"])
def test_a_path_is_no_recipe_unless_it_is_a_yaml_file(name, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "x.png").write_text("")
    monkeypatch.chdir(folder if name.startswith("..") else tmp_path)
    missing = name == "run/x"
    message = (
        "unknown recipe 'run/x'" if missing else f"error: {name}: a recipe is a name (see: clif recipes) or a YAML"
    )
    assert message in fails(capsys, "train", name)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train -epochs many", "-epochs"),
        ("train -amp perhaps", "expected True or False"),
        ("train -lr", "-lr"),
        ("train -lr -0.1 -dataset digits", "lr must be"),
        ("train -T 0", "T must be at least 1"),
        ("train -tau 1", "tau must be greater than 1"),
        ("train -dataset digits -device nothing", "unknown device"),
        ("train digits extra", "extra"),
        ("train none.yaml", "no recipe at none.yaml"),
        ("train -dataset digits -resume none.pth", "none.pth"),
        ("train -dataset digits -pre_train none.pth", "none.pth"),
        ("eval", "name a checkpoint"),
        ("eval none.pth", "none.pth"),
        ("deploy", "checkpoint"),
        ("deploy none.pth", "none.pth"),
        ("deploy none.pth -v_resets 0,x", "'x' is no reset value"),
        ("eval -resume none.pth -model snn5_noAP -neuron CLIF", "none.pth"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *line.split())


def test_a_damaged_checkpoint_is_one_line(tmp_path, capsys):
    (tmp_path / "c.pth").write_bytes(b"nothing of the kind")
    for command in ("eval", "deploy"):
        assert "c.pth" in fails(capsys, command, tmp_path / "c.pth")


def test_recipes_lists_every_recipe_and_prints_one(capsys, tmp_path):
    assert main(["recipes"]) == 0
    header, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert header.split() == ["recipe", "CLIF", "LIF", "ReLU", "EFLOP"]
    assert [line.split()[0] for line in lines] == list_recipes()
    row = next(line for line in lines if line.startswith("cifar10_resnet18 "))
    assert row.split()[1:5] == ["95.41", "94.51", "95.62", "0.2"]
    assert main(["recipes", "digits"]) == 0
    (tmp_path / "copy.yaml").write_text(capsys.readouterr().out)
    assert resolve(str(tmp_path / "copy.yaml")) == resolve("digits")


def test_an_interrupted_run_ends_with_128_plus_the_signal(monkeypatch, capsys):
    from clif.train import loop
    from clif.train.interrupt import Interrupted

    def interrupted(*_arguments):
        raise Interrupted(15, "stopped; to continue ...")

    monkeypatch.setattr(loop, "fit", interrupted)
    assert main(["train", "digits"]) == 143
    assert re.fullmatch(r"(clif: )?stopped; to continue \.\.\.\n", capsys.readouterr().err)


def test_ctrl_c_elsewhere_is_one_line_and_exit_code_130(monkeypatch, capsys):
    def interrupt(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(clif.cli, "run", interrupt)
    assert main([]) == 130
    assert capsys.readouterr().err == "clif: interrupted\n"


def test_an_original_checkpoint_is_evaluated_by_an_inference_line(tmp_path, capsys):
    net = create_model("snn5_noAP", "CLIF", T=1)
    path = tmp_path / "checkpoint_max.pth"
    torch.save({"net": net.state_dict(), "optimizer": {}, "lr_scheduler": {}, "max_test_acc": np.float64(0.5)}, path)
    line = f"-data_dir D -dataset digits -model snn5_noAP -neuron CLIF -T 1 -b 64 -name x -resume {path}"
    assert main(["eval", *line.split()]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^digits test: top-1 \d+\.\d\d%  top-5 .*\(360 images, snn5_noAP, CLIF, T=1\)$", shown, re.M)
    assert re.search(r"^throughput: \d+\.\d images/s on cpu, batch 64$", shown, re.M)
    assert "precision" not in shown
    assert main(["eval", *line.split(), "-amp_dtype", "bfloat16"]) == 0
    assert "precision: bfloat16 autocast (--amp-dtype bfloat16)\n" in capsys.readouterr().out
    assert 'model="' in fails(capsys, "eval", path, "-dataset", "digits")


@pytest.mark.slow
def test_train_eval_and_deploy_on_digits(tmp_path, capsys):
    line = "digits -T 2 -epochs 2 -T_max 2 -amp False --quiet"
    assert main(["train", *line.split(), "-out_dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    folder = Path(re.search(r"^run folder: (.*)$", shown, re.M).group(1))
    assert re.search(r"^last epoch \(2\): test top-1 \d+\.\d\d% top-5", shown, re.M)
    assert re.search(r"^best epoch \(\d, chosen on val\): test top-1 ", shown, re.M)
    summary = json.loads((folder / "summary.json").read_text())
    best = f"{summary['best']['test_top1']:.2%}"
    assert summary["best"]["test_top1"] > 0.5

    assert main(["eval", str(folder)]) == 0
    assert f"top-1 {best}" in capsys.readouterr().out

    assert main(["deploy", str(folder), "-v_resets", "None,0,-0.06"]) == 0
    shown = capsys.readouterr().out
    assert f"CLIF-trained {best}" in shown
    assert re.search(r"^digits, 360 test images, as LIF +soft +0 +-0\.06$", shown, re.M)
    assert "held out" in shown
    chosen = re.search(r"with it on the test set: (\S+) as LIF", shown).group(1)
    assert main(["eval", str(folder / "deploy" / "checkpoint_lif.pth")]) == 0
    shown = capsys.readouterr().out
    assert f"top-1 {chosen}" in shown
    assert "LIF, T=2" in shown


def test_a_wrong_model_is_named_before_any_data_are_read(tmp_path, capsys):
    assert "spiking_resnet18" in fails(capsys, "train", "-model", "resnet18", "-data_dir", tmp_path / "nowhere")


def test_print_config_shows_the_resolved_values_and_loads_no_torch(tmp_path):
    script = (
        "import sys\nfrom clif.cli import main\n"
        f"code = main(['train', 'dvs_gesture_vgg11', '-T', '4', '-out_dir', {str(tmp_path)!r}, '--print-config'])\n"
        "assert code == 0 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    shown = yaml.safe_load(done.stdout)
    assert shown == dataclasses.asdict(resolve("dvs_gesture_vgg11", T=4, out_dir=str(tmp_path)))
    assert f"# run folder: {tmp_path}" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --resume-run nowhere", "no run at nowhere"),
        ("train digits --resume-run nowhere", "leave out a recipe"),
        ("train --resume-run nowhere -seeds 1,2", "leave out --seeds"),
        ("train --resume-run nowhere -resume x", "no run at nowhere"),
        ("train digits -seeds 1;2", "whole numbers separated by commas"),
        ("train digits -seeds 1,2 -seed 3", "leave out one of them"),
        ("train digits -seeds 1", "at least two different seeds"),
        ("train digits -loggers tensorbord", "unknown logger 'tensorbord'"),
        ("train digits -exchange_epoch 3", "--exchange-neuron"),
        ("train digits -device cuda:0 -devices 2", "cuda:0"),
    ],
)
def test_a_mistake_with_the_trainer_s_options_is_one_line(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *line.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_system_refuses_is_one_line(monkeypatch, capsys):
    def refuse(_arguments):
        raise PermissionError(13, "Permission denied", "/no/x")

    monkeypatch.setattr(clif.cli, "run", refuse)
    assert "Permission denied: '/no/x'" in fails(capsys, "recipes")


@pytest.fixture
def nobody(monkeypatch):
    """A user without a home folder and without an entry among the system's users."""

    def unknown(_uid):
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_trains_and_evaluates(tmp_path, capsys):
    line = "digits -T 1 -amp False -max_steps 1 --quiet"
    assert main(["train", *line.split(), "-out_dir", str(tmp_path)]) == 0
    folder = capsys.readouterr().out.splitlines()[-1].removeprefix("run folder: ")
    assert main(["eval", folder]) == 0
    capsys.readouterr()
    assert "there is no home folder of ~" in fails(capsys, "train", *line.split(), "-out_dir", "~/x")
    assert "there is no home folder of ~" in fails(capsys, "eval", "~/x.pth")


@pytest.mark.slow
def test_the_home_folder_is_meant_by_a_tilde_in_every_command(tmp_path, monkeypatch, capsys):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert (
        main(["train", *["digits", "-T", "1", "-amp", "False", "-max_steps", "1", "--quiet", "-out_dir=~/runs"]]) == 0
    )
    run = f"~/runs/{next((home / 'runs').iterdir()).name}"
    assert main(["train", "--resume-run", run, "--quiet", "-max_steps", "2"]) == 0
    assert main(["eval", run]) == 0
    assert main(["eval", "-resume", f"{run}/checkpoint_last.pth"]) == 0
    assert main(["energy", run, "-images", "8", "--out=~/energy.json"]) == 0
    assert main(["export", run, "-format", "torch", "--out=~/net.pt2"]) == 0
    assert main(["deploy", run, "-v_resets", "0", "--out=~/deployed"]) == 0
    assert {p.name for p in home.iterdir()} == {"runs", "energy.json", "net.pt2", "deployed"}
    assert list(here.iterdir()) == []
    capsys.readouterr()
