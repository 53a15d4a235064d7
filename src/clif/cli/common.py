"""What the commands share: a parser whose errors are one line, and the options of a training configuration.

Nothing here imports torch, so that every `--help` answers at once.
"""

import argparse
import dataclasses
import re
from typing import Any, NoReturn

from clif.errors import InputError, unknown_name
from clif.paths import expand_home
from clif.train.config import TrainConfig, field_types, parse_bool

NUMBER = re.compile(r"-\.?\d")
PATH_ARGUMENTS = {"checkpoint", "data_dir", "json", "lif", "out", "resume_run"}
SHORT_WITH_VALUE = re.compile(r"-[a-zA-Z]\d")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `InputError` instead of printing its usage, and names the nearest option."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Check the options, then parse; a value may begin with a minus: -v_resets -0.02,-0.04."""
        self.check_options(arguments)
        joined: list[str] = []
        for word in arguments:
            if joined and NUMBER.match(word) and joined[-1] in self._option_string_actions:
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        return self.parse_args(joined)

    def parse_args(self, *arguments: Any, **options: Any) -> argparse.Namespace:
        """As usual; no shell expands the ~ of --out=~/x, so it is done here."""
        parsed = super().parse_args(*arguments, **options)
        for name in PATH_ARGUMENTS & vars(parsed).keys():
            if isinstance(value := getattr(parsed, name), str):
                setattr(parsed, name, expand_home(value))
        return parsed

    def check_options(self, arguments: list[str]) -> None:
        """Raise `InputError` for the first word that looks like an option and is none."""
        for word in arguments:
            flag = word.split("=")[0]
            if not flag.startswith("-") or flag in self._option_string_actions or NUMBER.match(flag):
                continue
            if SHORT_WITH_VALUE.match(flag) and flag[:2] in self._option_string_actions:
                continue
            raise unknown_name(
                f"option of {self.prog}",
                flag,
                [action.option_strings[0] for action in self._actions if action.option_strings],
            )


def bool_argument(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def spellings(name: str) -> list[str]:
    """-data_dir, --data_dir and --data-dir."""
    return list(dict.fromkeys([f"-{name}", f"--{name}", f"--{name.replace('_', '-')}"]))


def add_config_options(
    parser: argparse.ArgumentParser, only: tuple[str, ...] | None = None, default: str | None = None
) -> None:
    """One option for each field of `TrainConfig` under its group's title, or `only` for some of them.

    Those not given are left out when parsed; the help says that `default` is taken then, or the field's own default.
    """
    kinds = field_types()
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(TrainConfig):
        if only is not None and field.name not in only:
            continue
        title = field.metadata["group"]
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        flags = spellings(field.name)
        if field.name == "neuron":
            flags += spellings("neuron_model")
        usual = field.default if default is None else default
        noted = "" if usual in (None, "") else f" (default: {usual})"
        arguments: dict[str, Any] = {
            "dest": field.name,
            "default": argparse.SUPPRESS,
            "help": f"{field.metadata['help']}{noted}".replace("%", "%%"),
            "type": kinds[field.name],
            "metavar": {int: "N", float: "X", str: "TEXT", bool: "BOOL"}[kinds[field.name]],
        }
        if kinds[field.name] is bool:
            arguments |= {"type": bool_argument, "nargs": "?", "const": True}
        if field.metadata["choices"]:
            arguments["metavar"] = "|".join(field.metadata["choices"])
        groups[title].add_argument(*flags, **arguments)


def config_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration options that were given."""
    known = field_types()
    return {key: value for key, value in vars(arguments).items() if key in known}
