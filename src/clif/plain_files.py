"""JSON and YAML files from others, as plain values, in bounded time and memory. Without torch."""

import json
from pathlib import Path
from typing import Any

import yaml

from clif.errors import InputError, MissingFileError, in_words

MOST_YAML = 1 << 16
MOST_VALUES = 5_000
"""The maximum size of a YAML file in bytes, and of its values with each alias written out."""


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises `InputError` that names the file for one that cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {in_words(error)}") from error


def read_yaml(path: Path, what: str = "YAML file") -> Any:
    """The value in a YAML file; nothing in it is executed. Errors call a missing file a `what`.

    Raises `InputError` that names the file if it is missing, cannot be read, or is too large for a configuration, also
    through its aliases.
    """
    try:
        content = path.read_bytes()
        if len(content) > MOST_YAML:
            raise InputError(f"{path}: {len(content) >> 10} KiB is too large for a configuration")
        return _value(content.decode("utf-8-sig"))
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise MissingFileError(f"no {what} at {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # PyYAML does not convert the errors of dates and numbers
        raise InputError(f"{path}: not a YAML file: {in_words(error)}") from error


def _value(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_VALUES:
            raise InputError("holds too many values for a configuration, with its aliases written out")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values in a node, with aliases written out. Raises `InputError` if it contains itself."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # until it is counted: a node that contains itself is endless
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        inner = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        known[id(node)] = 1 + sum(_size(child, known) for child in inner)
    return known[id(node)]
