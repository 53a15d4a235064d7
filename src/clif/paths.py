"""Paths with a leading `~`."""

import os

from clif.errors import InputError


def expand_home(path: str | os.PathLike[str]) -> str:
    """The path with a leading `~` or `~user` replaced by the home folder.

    Raises `InputError` if there is no home folder, instead of creating a folder called `~`.
    """
    text = os.fspath(path)
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)
    if expanded == text or (os.environ.get("HOME") == "" and text.split(os.sep)[0] == "~"):
        raise InputError(f"{text}: there is no home folder of {text.split(os.sep)[0]}; write the full path")
    return expanded
