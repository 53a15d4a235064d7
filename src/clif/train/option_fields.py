"""Options as typed dataclass fields: their declaration, and the conversion of values to their types."""

import dataclasses
from functools import cache
from typing import Any, get_args, get_type_hints

from clif.errors import InputError, cut


def option(default: Any, help: str, choices: tuple[str, ...] = (), group: str = "") -> Any:
    """A dataclass field with the help text and the group of the option on the command line."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "group": group})


@cache
def types_of(config: type) -> dict[str, type]:
    """The plain type of every option of a configuration class; optional ones without their None."""
    hints = get_type_hints(config)
    return {name: get_args(hint)[0] if get_args(hint) else hint for name, hint in hints.items()}


def parse_bool(text: str) -> bool:
    """True and False as people write them; anything else is a `ValueError`."""
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError(f"expected True or False, got {text!r}")
    return words[text.lower()]


def convert(name: str, value: Any, kind: type, optional: bool = False) -> Any:
    """A value in the type of the option `name`; YAML's 5e-4 is a string and becomes a number.

    Raises `InputError` for a value of another type; `optional` ones may be None.
    """
    if (optional and value is None) or type(value) is kind:
        return value
    try:
        if kind is bool:
            return parse_bool(value) if isinstance(value, str) else _refuse()
        if kind is str or isinstance(value, bool) or not isinstance(value, int | float | str):
            return _refuse()
        number = kind(value)
        return number if isinstance(value, str) or number == value else _refuse()
    except (ValueError, OverflowError):
        words = f"{'an' if kind is int else 'a'} {kind.__name__}"
        raise InputError(f"{name} must be {words}, got {cut(repr(value))}") from None


def _refuse() -> Any:
    raise ValueError
