"""Shared parts of the commands: a parser whose errors are one line, and the options of a training configuration.

Nothing here imports torch, so every `--help` is fast.
"""

import argparse
import dataclasses
import logging
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from clif.errors import InputError, UnknownNameError, unknown_name
from clif.names import REGISTRIES, RENAMED, SYNONYMS, flag, option_name
from clif.paths import expand_home
from clif.train.config import TrainConfig, field_types, parse_bool

logger = logging.getLogger("clif")

NUMBER = re.compile(r"-\.?\d")
PATH_ARGUMENTS = {"checkpoint", "costs", "data_dir", "json", "lif", "out", "resume_run"}
NEVER_EMPTY = {*PATH_ARGUMENTS, "files", "networks", "out_dir", "pre_train", "recipe", "resume", "runs", "teacher"}
SHORT_WITH_VALUE = re.compile(r"-[a-zA-Z]\d")
WIDEST = 100


def text_width() -> int:
    """The columns for text: those of the terminal (or of the variable COLUMNS), but no more than 100."""
    return min(shutil.get_terminal_size().columns, WIDEST)


def print_entry(label: str, text: str) -> None:
    """Print a line of a list; on a terminal the text is wrapped beside its label, elsewhere an entry is one line."""
    columns = text_width() if sys.stdout.isatty() else len(label + text)
    print(textwrap.fill(text, columns, initial_indent=label, subsequent_indent=" " * len(label)))


def quiet_matplotlib() -> None:
    """Hide the warnings of matplotlib about its caches, which it gives if there is no home folder."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


class Formatter(argparse.HelpFormatter):
    """Help within the terminal's width; paragraphs stay paragraphs, and subcommands are a plain list."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=text_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrapped = ("\n".join(self._split_lines(paragraph, width)) for paragraph in text.strip().split("\n\n"))
        return textwrap.indent("\n\n".join(wrapped), indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)  # keeps --data-dir in one line

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return self._join_parts([self._format_action(sub) for sub in action._get_subactions()])
        return super()._format_action(action)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `InputError` instead of printing its usage, and names the nearest option.

    An option has one spelling in the help, --data-dir, or -T for a single letter. It is also accepted with one dash,
    with underscores, and under its `SYNONYMS`; a switch with a value, such as --amp, also as --no-amp.
    """

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, formatter_class=Formatter, allow_abbrev=False, **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> argparse.Action:
        """Like `ArgumentParser.add_argument`; if an option has several spellings, it keeps the one for the help."""
        if names and names[0].startswith("-"):
            names = (flag("help" if "--help" in names else names[0]),)
        return super().add_argument(*names, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def format_help(self) -> str:
        if self.usage is None:
            self.usage = " ".join([self.prog, *map(_placeholder, self._get_positional_actions()), "[options]"])
        return super().format_help()

    def parse_args(self, *arguments: Any, **options: Any) -> argparse.Namespace:
        """Like `ArgumentParser.parse_args`, but also expands the ~ of --out=~/x, which no shell does.

        An empty path is an error; it comes from a variable that the shell does not know.
        """
        parsed = super().parse_args(*arguments, **options)
        for action in self._actions:
            value = getattr(parsed, action.dest, None)
            if action.dest in NEVER_EMPTY and "" in (value if isinstance(value, list) else [value]):
                label = action.option_strings[0] if action.option_strings else action.metavar or action.dest
                self.error(f"{label} is empty")
        for name in PATH_ARGUMENTS & vars(parsed).keys():
            if isinstance(value := getattr(parsed, name), str):
                setattr(parsed, name, expand_home(value))
        return parsed

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Parse the arguments; a value may begin with a minus, as in --v-resets -0.02,-0.04. Raises `InputError`."""
        words: list[str] = []
        for index, word in enumerate(arguments):
            if word == "--":
                return self.parse_args([*words, *arguments[index:]])
            if NUMBER.match(word) and words and words[-1] in self._option_string_actions:
                words[-1] += f"={word}"
            elif not word.startswith("-") or word == "-" or NUMBER.match(word):
                words.append(word)
            else:
                words.append(self._known(word))
        return self.parse_args(words)

    def _known(self, word: str) -> str:
        """An option, or option=value, in the spelling of the help. Raises `InputError` for an unknown one."""
        given, equals, value = word.partition("=")
        if known := self._find(given):
            if (name := option_name(given)) in RENAMED:
                logger.warning("%s is now called %s", given, flag(RENAMED[name]))
            return known + equals + value
        if SHORT_WITH_VALUE.match(given) and (known := self._find(given[:2])):
            return f"{known}={word[2:]}"
        if given.lstrip("-").startswith(("no-", "no_")) and (known := self._find(given.lstrip("-")[3:])):
            action = self._option_string_actions[known]
            if action.type is bool_argument and not equals:
                return f"{known}=False"
        if option_name(given) in field_types():
            raise InputError(f"unknown option of {self.prog} {given!r}; it is one of clif train, with no effect here")
        raise unknown_name(f"option of {self.prog}", given, self._option_string_actions)

    def _find(self, given: str) -> str | None:
        name = option_name(given)
        known = {option_name(spelling): spelling for spelling in self._option_string_actions}
        same = next((group for group in SYNONYMS if name in group), ())
        return next((known[word] for word in (name, *same) if word in known), None)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown_name(action.dest, value, map(str, action.choices))


def _placeholder(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    name = f"{name}..." if action.nargs in ("+", "*") else name
    return f"[{name}]" if action.nargs in ("?", "*") else name


def bool_argument(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_config_options(
    parser: argparse.ArgumentParser,
    only: Sequence[str] | None = None,
    default: str | None = None,
    hidden: Sequence[str] = (),
) -> None:
    """One option for each field of `TrainConfig` under its group's title, or `only` for some of them.

    Options that are not given are left out of the result; the help then names `default`, or the field's own default.
    The options `hidden` are accepted but not in the help.
    """
    kinds = field_types()
    groups: dict[str | None, Any] = {group.title: group for group in parser._action_groups}
    for field in dataclasses.fields(TrainConfig):
        if only is not None and field.name not in (*only, *hidden):
            continue
        title = field.metadata["group"]
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
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
            arguments |= {"choices": field.metadata["choices"], "metavar": "|".join(field.metadata["choices"])}
        if field.name in hidden:
            arguments["help"] = argparse.SUPPRESS
        groups[title].add_argument(flag(field.name), **arguments)


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """The option --import, whose values `clif.user_code.import_code` takes before any name is checked."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE_OR_MODULE",
        help="first run this code, which registers your networks and such by name; can be repeated",
    )


@contextmanager
def hint_at_imports(arguments: argparse.Namespace) -> Iterator[None]:
    """A context in which the error for an unknown name mentions --import, if the command was given none."""
    try:
        yield
    except UnknownNameError as error:
        if error.kind not in (*REGISTRIES, "exchange_neuron") or getattr(arguments, "imports", None) != []:
            raise
        raise InputError(f"{error} (a name of your own needs --import FILE, which registers it)") from error


def config_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration options that were given."""
    known = field_types()
    return {key: value for key, value in vars(arguments).items() if key in known}
