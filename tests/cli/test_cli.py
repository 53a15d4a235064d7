"""The program `clif`: help, mistakes on one line, the original's command lines, and the whole path on digits."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import clif
import clif.cli
from clif.cli import COMMANDS, main
from clif.cli.common import Parser, config_values
from clif.cli.deploy import parse_resets
from clif.errors import InputError
from clif.models import create_model, list_models
from clif.train.config import TrainConfig, list_recipes, resolve

CIFAR = "-data_dir D -model spiking_resnet18 -amp -T_max 200 -epochs 200 -neuron CLIF"
TRAIN_LINES = {
    f"{CIFAR} -dataset cifar10 -weight_decay 5e-5": {"dataset": "cifar10", "weight_decay": 5e-5, "T_max": 200},
    f"{CIFAR} -dataset cifar100 -weight_decay 5e-4": {"dataset": "cifar100", "epochs": 200, "amp": True},
    "-data_dir D -dataset DVSCIFAR10 -T 10 -drop_rate 0.3 -model spiking_vgg11_bn -lr=0.05 -mse_n_reg -neuron CLIF": {
        "T": 10,
        "drop_rate": 0.3,
        "lr": 0.05,
        "mse_n_reg": True,
    },
    "-data_dir D -dataset dvsgesture -model spiking_vgg11_bn -T 20 -b 16 -drop_rate 0.4 -neuron CLIF": {
        "T": 20,
        "b": 16,
        "drop_rate": 0.4,
        "model": "spiking_vgg11_bn",
    },
    "-data_dir D -dataset tiny_imagenet -model spiking_vgg13_bn -neuron CLIF": {"model": "spiking_vgg13_bn", "lr": 0.1},
}
EVAL_LINES = [
    f"-data_dir D -dataset {dataset} -model {model} -neuron {neuron} -name without_auto_aug -resume P.pth{more}"
    for dataset, model, more in [
        ("cifar10", "spiking_resnet18", " -amp"),
        ("cifar100", "spiking_resnet18", ""),
        ("tiny_imagenet", "spiking_vgg13_bn", ""),
        ("DVSCIFAR10", "spiking_vgg11_bn", " -T 10 -drop_rate 0.3 -mse_n_reg"),
        ("dvsgesture", "spiking_vgg11_bn", " -T 20 -b 16"),
    ]
    for neuron in ("CLIF", "LIF")
]


def parser_of(command):
    module = importlib.import_module(f"clif.cli.{command}")
    parser = Parser(prog=f"clif {command}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def parse(command, line):
    parser, words = parser_of(command), line.split()
    return parser.parse(words)


def fails(capsys, *words):
    """The one line on stderr of a command that is refused with exit code 2."""
    assert main(list(map(str, words))) == 2
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("clif: error: ")
    return shown.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_exits_0_and_describes_every_option(command, flag, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, flag])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for action in parser_of(command)._actions:
        assert action.help, action.dest
        for option in action.option_strings:
            assert re.search(rf"(^|[\s,]){re.escape(option)}([\s,]|$)", shown), option


def test_help_of_the_program_names_every_command(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w", shown, re.MULTILINE) for name in COMMANDS)
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == shown


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"clif {clif.__version__}"


@pytest.mark.parametrize("command", ["train", "eval"])
def test_every_option_of_the_configuration_is_an_option(command):
    known = {action.dest for action in parser_of(command)._actions}
    assert {field.name for field in dataclasses.fields(TrainConfig)} <= known


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("-lr 0.1", "-lr belongs to -method finetune"),
        ("-epochs 3", "-epochs belongs to -method finetune"),
        ("-amp False", "unknown option of clif deploy"),
        ("-resume x.pth", "unknown option of clif deploy"),
    ],
)
def test_deploy_refuses_options_that_would_change_nothing(capsys, option, message):
    assert message in fails(capsys, "deploy", "x.pth", *option.split())


def test_eval_refuses_two_checkpoints(capsys):
    assert "two checkpoints" in fails(capsys, "eval", "a.pth", "-resume", "b.pth")


def test_help_loads_no_torch():
    script = (
        "import sys\nfrom clif.cli import main\n"
        f"for words in [[], *([name, '--help'] for name in {list(COMMANDS)!r})]:\n"
        "    try: main(words)\n    except SystemExit: pass\n"
        "print(sorted({'torch', 'sklearn', 'matplotlib', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("line", "wrong", "nearest"),
    [
        ("trian", "trian", "train"),
        ("evaluate", "evaluate", "eval"),
        ("--versoin", "--versoin", "--version"),
        ("train -datset digits", "-datset", "-dataset"),
        ("train --weight-decy 1", "--weight-decy", "-weight_decay"),
        ("eval x.pth -neurom CLIF", "-neurom", "-neuron"),
        ("deploy x.pth -v_reset 0", "-v_reset", "-v_resets"),
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
    assert "'datset'; did you mean dataset" in fails(capsys, "train", tmp_path / "mine.yaml")


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


@pytest.mark.parametrize(("line", "expected"), TRAIN_LINES.items())
def test_the_original_s_training_lines_parse(line, expected):
    config = resolve(**config_values(parse("train", line)))
    assert {key: getattr(config, key) for key in expected} == expected
    assert (config.data_dir, config.neuron, config.seed) == ("D", "CLIF", 2022)


@pytest.mark.parametrize("line", EVAL_LINES)
def test_the_original_s_inference_lines_parse(line):
    values = config_values(parse("eval", line))
    words = line.split()
    for option in ("dataset", "model", "neuron", "name", "resume"):
        assert values[option] == words[words.index(f"-{option}") + 1]
    assert values.get("amp", False) is ("-amp" in words)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("-amp", True),
        ("-amp True", True),
        ("-amp False", False),
        ("--amp=False", False),
        ("-amp=False", False),
        ("-amp false -b 4", False),
        ("-amp -b 4", True),
        ("--amp 0", False),
        ("", True),
    ],
)
def test_amp_is_a_true_switch(line, value):
    assert resolve(**config_values(parse("train", line))).amp is value


@pytest.mark.parametrize("line", ["-neuron_model PLIF", "--neuron-model PLIF", "-neuron PLIF", "--neuron=PLIF"])
def test_neuron_model_is_another_name_of_neuron(line):
    assert config_values(parse("train", line)) == {"neuron": "PLIF"}


@pytest.mark.parametrize("spelling", ["-data_dir", "--data_dir", "--data-dir"])
def test_options_have_the_original_and_the_usual_spelling(spelling):
    assert config_values(parse("train", f"{spelling} D")) == {"data_dir": "D"}
    assert config_values(parse("train", f"{spelling}=D")) == {"data_dir": "D"}


def test_only_what_is_given_replaces_the_recipe():
    arguments = parse("train", "digits -T 3")
    config = resolve(arguments.recipe, **config_values(arguments))
    assert (config.T, config.lr, config.val_split) == (3, 0.05, 0.1)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("None,0,-0.02", [None, 0.0, -0.02]),
        ("soft", [None]),
        ("NONE, -0.1 ,1e-2", [None, -0.1, 0.01]),
        ("-0.06", [-0.06]),
    ],
)
def test_reset_values_are_read(text, values):
    assert parse_resets(text) == values


@pytest.mark.parametrize("text", ["", "0,", "0;1", "x", "0,,1", "hard"])
def test_a_word_that_is_no_reset_value_is_refused(text):
    with pytest.raises(InputError, match="is no reset value"):
        parse_resets(text)


@pytest.mark.parametrize("text", ["nan", "inf", "0,-inf"])
def test_a_reset_value_is_finite(text):
    with pytest.raises(InputError):
        parse_resets(text)


@pytest.mark.parametrize("spelling", ["-v_resets=-0.02,None", "--v-resets=-0.02,None", "-v_resets None,-0.02"])
def test_a_list_of_reset_values_parses(spelling):
    assert set(parse_resets(parse("deploy", f"x.pth {spelling}").v_resets)) == {None, -0.02}


def test_a_list_of_reset_values_may_begin_with_a_minus():
    assert parse("deploy", "x.pth -v_resets -0.02,-0.04").v_resets == "-0.02,-0.04"


def test_models_lists_every_network(capsys):
    assert main(["models"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list_models()
    assert main(["models", "snn5*"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["snn5", "snn5_noAP"]


def test_recipes_lists_every_recipe_and_prints_one(capsys, tmp_path):
    assert main(["recipes"]) == 0
    header, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert header.split() == ["recipe", "CLIF", "LIF", "ReLU", "EFLOP"]
    assert [line.split()[0] for line in lines] == list_recipes()
    row = next(line for line in lines if line.startswith("cifar10_resnet18 "))
    assert row.split()[-4:] == ["95.41", "94.51", "95.62", "0.2"]
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


def test_help_of_train_is_in_groups(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: clif train [RECIPE] [options]\n")
    for field in dataclasses.fields(TrainConfig):
        assert f"\n{field.metadata['group']}:\n" in shown


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --resume-run nowhere", "no run at nowhere"),
        ("train digits --resume-run nowhere", "leave out a recipe"),
        ("train --resume-run nowhere -seeds 1,2", "leave out --seeds"),
        ("train --resume-run nowhere -resume x", "no run at nowhere"),
        ("train digits -seeds 1;2", "whole numbers with commas"),
        ("train digits -seeds 1", "at least two different seeds"),
        ("train digits -loggers tensorbord", "unknown logger 'tensorbord'"),
        ("train digits -exchange_epoch 3", "exchange_neuron"),
        ("train digits -device cuda:0 -devices 2", "cuda:0"),
        ("train --learning-rate 1", "did you mean -lr"),
        ("train --batch-size 1", "did you mean -b"),
    ],
)
def test_a_mistake_with_the_trainer_s_options_is_one_line(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *line.split())
    assert list(tmp_path.iterdir()) == []
