"""Print a script that completes clif's command lines: commands, options, recipes, networks and other names.

bash: clif completion bash > ~/.local/share/bash-completion/completions/clif

zsh: clif completion zsh > FOLDER/_clif, in a FOLDER of $fpath, before compinit is called

tcsh: clif completion tcsh > ~/.clif.csh, and "source ~/.clif.csh" in ~/.tcshrc

Write the script again after an update of clif. It needs the package shtab.
"""

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from clif.cli.common import Parser, bool_argument
from clif.errors import InputError
from clif.names import DATASET_NAMES, SURROGATE_NAMES, model_descriptions, neuron_names, training_names
from clif.train.config import list_recipes

SHELLS = ("bash", "zsh", "tcsh")
WORDS: dict[str, Callable[[], Iterable[str]]] = {
    "recipe": list_recipes,
    "dataset": lambda: DATASET_NAMES,
    "model": model_descriptions,
    "pattern": model_descriptions,
    "neuron": neuron_names,
    "exchange_neuron": lambda: neuron_names()[:-1],
    "surrogate": lambda: SURROGATE_NAMES,
    "opt": lambda: training_names("opt"),
    "lr_scheduler": lambda: training_names("lr_scheduler"),
    "loss": lambda: training_names("loss"),
    "device": lambda: ("auto", "cpu", "cuda"),
    "per": lambda: ("channel", "layer", "network"),
    "start": lambda: ("subtract", "calibrate"),
}
"""The names that an option or argument takes, by its destination, if the parser has no choices for it."""

FOLDERS = ("data_dir", "out_dir", "resume_run")
FILES = ("checkpoint", "costs", "networks", "files", "resume", "pre_train", "teacher", "lif", "out", "json", "imports")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS, help=", ".join(SHELLS))


def run(arguments: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise InputError(f'completion needs shtab ({error}): pip install "clif-snn[completion]"') from error
    from clif.cli import COMMANDS, command_parser, make_parser

    parser = make_parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name in COMMANDS:
        commands.choices[name] = command_parser(name)
        for action in commands.choices[name]._actions:
            _describe(action, shtab)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _describe(action: Any, shtab: Any) -> None:
    """Tell shtab what an option or argument takes."""
    if action.nargs == 0:
        return
    if action.dest in FOLDERS:
        action.complete = shtab.DIRECTORY
    elif action.dest in FILES:
        action.complete = shtab.FILE
    elif action.type is bool_argument:
        action.choices = ("True", "False")
    elif action.dest in WORDS:
        action.choices = tuple(WORDS[action.dest]())
