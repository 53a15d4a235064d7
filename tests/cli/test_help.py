"""`--help` of every command: one spelling of each option, only options that have an effect, the terminal's width."""

import argparse
import dataclasses
import re
import subprocess
import sys

import pytest

import clif.cli
from clif.cli import COMMANDS, command_parser, main
from clif.cli.eval import ORIGINAL
from clif.train.config import TrainConfig

FIELDS = {field.name for field in dataclasses.fields(TrainConfig)}


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_one_spelling_of_every_option_with_its_meaning(command, capsys):
    shown = help_of(capsys, command)
    for action in command_parser(command)._actions:
        assert action.help, action.dest
        if action.help == argparse.SUPPRESS:
            assert not re.search(rf"{re.escape(action.option_strings[0])}(?![\w-])", shown)
        elif action.option_strings:
            (option,) = action.option_strings
            assert re.fullmatch(r"-[a-zA-Z]|--[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*", option)
            assert len(re.findall(rf"^  {re.escape(option)}(?![\w-])", shown, re.MULTILINE)) == 1


@pytest.mark.parametrize("flag", ["-h", "--help", "-help"])
def test_help_may_be_asked_for_in_several_ways(flag, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["eval", flag])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("usage: clif eval [CHECKPOINT] [options]\n")


@pytest.mark.parametrize(("words", "usage"), [("", "COMMAND"), ("eval", "eval [CHECKPOINT]")])
def test_help_is_also_a_word(words, usage, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["help", *words.split()])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: clif {usage} [options]\n")


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_no_wider_than_the_terminal_and_100_columns(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = help_of(capsys, *command.split()).splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert len(lines) > 5


@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_is_broken_at_its_dashes(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert not re.search(r"\w-$", help_of(capsys, command), re.MULTILINE)


def test_paragraphs_of_a_description_stay_apart(capsys):
    shown = help_of(capsys, "deploy")
    assert "\n\nRun a trained CLIF network with plain LIF neurons.\n\n--method chooses the conversion." in shown


def test_help_of_the_program_names_every_command(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w", shown, re.MULTILINE) for name in COMMANDS)
    assert help_of(capsys) == shown


def test_help_of_train_is_in_groups(capsys):
    shown = help_of(capsys, "train")
    assert shown.startswith("usage: clif train [RECIPE] [options]\n")
    for field in dataclasses.fields(TrainConfig):
        assert f"\n{field.metadata['group']}:\n" in shown


def test_every_option_of_the_configuration_is_an_option_of_train():
    assert {action.dest for action in command_parser("train")._actions} >= FIELDS


def test_eval_shows_what_it_uses_and_accepts_the_original_s_options_besides(capsys):
    shown = help_of(capsys, "eval")
    assert "--data-dir" in shown
    for name in ORIGINAL:
        assert name in FIELDS
        assert f"{clif.cli.common.flag(name)} " not in shown


@pytest.mark.parametrize(
    "line",
    [
        "eval x.pth -ema 0.9",
        "eval x.pth --val-split 0.1",
        "deploy x.pth -momentum 0.9",
        "export x.pth --format onnx -surrogate sigmoid",
        "export x.pth --format onnx -device cpu",
        "energy x.pth -surrogate sigmoid",
    ],
)
def test_an_option_without_effect_is_refused(line, capsys):
    assert main(line.split()) == 2
    assert "it is one of clif train, with no effect here" in capsys.readouterr().err


def test_help_and_lists_load_no_torch():
    lines = [[], ["cache"], ["models"], ["recipes"], ["completion", "bash"], *([name, "--help"] for name in COMMANDS)]
    script = (
        "import sys\nfrom clif.cli import main\n"
        f"for words in {lines!r}:\n"
        "    try: assert main(words) == 0\n    except SystemExit: pass\n"
        "print(sorted({'torch', 'sklearn', 'matplotlib', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
