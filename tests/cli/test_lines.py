"""The meaning of command lines: the original's, their spellings, and lists of reset values."""

import dataclasses
import shlex

import pytest

from clif.cli import command_parser
from clif.cli.common import config_values
from clif.cli.deploy import parse_resets
from clif.errors import InputError
from clif.names import SYNONYMS
from clif.train.config import TrainConfig, field_types, resolve

CHOICES = {
    field.name: field.metadata["choices"] for field in dataclasses.fields(TrainConfig) if field.metadata["choices"]
}

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


def parse(command, line):
    return command_parser(command).parse(line.split())


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


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("--batch-size 64", "b", 64),
        ("--batch_size=64", "b", 64),
        ("-batch_size 64", "b", 64),
        ("-b64", "b", 64),
        ("--learning-rate 0.05", "lr", 0.05),
        ("--epochs 3", "epochs", 3),
        ("--num-epochs 3", "epochs", 3),
        ("--workers 2", "j", 2),
        ("--num_workers=2", "j", 2),
        ("--wd 1e-4", "weight_decay", 1e-4),
        ("--time-steps 4", "T", 4),
        ("--timesteps 4", "T", 4),
        ("-T4", "T", 4),
        ("--T 4", "T", 4),
        ("--t-max 7", "T_max", 7),
        ("--optimizer AdamW", "opt", "AdamW"),
        ("--scheduler StepLR", "lr_scheduler", "StepLR"),
        ("--arch snn5", "model", "snn5"),
        ("--dropout 0.5", "drop_rate", 0.5),
        ("--data D", "data_dir", "D"),
        ("--output-dir D", "out_dir", "D"),
        ("--no-amp", "amp", False),
        ("-no_amp", "amp", False),
        ("--no-decay-norm-bias", "no_decay_norm_bias", True),
    ],
)
def test_options_are_known_by_their_usual_names_too(line, key, value):
    assert config_values(parse("train", line)) == {key: value}


def test_every_synonym_of_an_option_of_train_is_accepted():
    fields = field_types()
    groups = [group for group in SYNONYMS if group[0] in fields]
    assert len(groups) > 20
    for ours, *others in groups:
        value = {bool: "True", str: "x"}.get(fields[ours], "1")
        if ours in CHOICES:
            value = CHOICES[ours][0]
        for name in others:
            assert list(config_values(parse("train", f"--{name.replace('_', '-')}={value}"))) == [ours]


def test_no_name_stands_for_two_options():
    names = [name for group in SYNONYMS for name in group]
    assert len(names) == len(set(names))
    assert not {name for _, *others in SYNONYMS for name in others} & set(field_types())


@pytest.mark.parametrize(("command", "line"), [("bench", "step --batch-size 4"), ("bench", "step -b 4")])
def test_a_synonym_is_the_option_that_the_command_has(command, line):
    assert parse(command, line).batch == [4]


@pytest.mark.parametrize("line", ["train --no-epochs", "train --no-amp=True", "train --batchsize", "eval --no-device"])
def test_what_only_looks_like_an_option_is_refused(line):
    command, *words = line.split()
    with pytest.raises(InputError, match="unknown option of clif"):
        command_parser(command).parse(words)


def test_words_after_two_dashes_are_no_options():
    assert parse("eval", "-b 4 -- -odd.pth").checkpoint == "-odd.pth"


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("train ''", "recipe"),
        ("train --out-dir ''", "--out-dir"),
        ("train --resume=", "--resume"),
        ("eval ''", "checkpoint"),
        ("predict a.pth b.png ''", "FILE"),
        ("deploy a.pth --out ''", "--out"),
        ("analyze rates '' --json x", "NETWORK"),
        ("analyze rates a.pth --json ''", "--json"),
        ("report ''", "RUN"),
        ("reproduce row --runs a ''", "--runs"),
        ("data check images --data-dir ''", "--data-dir"),
    ],
)
def test_an_empty_path_is_refused(line, label):
    command, *words = shlex.split(line)
    with pytest.raises(InputError, match=f"^{label} is empty; see clif {command} --help$"):
        command_parser(command).parse(words)
