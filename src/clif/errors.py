"""The exception for wrong input: an argument, a file, a flag, a configuration key."""

import difflib
from collections.abc import Iterable

from clif.names import SYNONYMS


class InputError(ValueError):
    """Wrong input; the message says what and where, and what to do. The command line prints it and exits with code 2.

    >>> try:
    ...     clif.CLIFNode(tau=0.5)
    ... except clif.errors.InputError as error:
    ...     print(error)
    tau must be a finite number greater than 1 (tau = 1 has no memory), got 0.5; try tau=2.0
    """


class UnknownNameError(InputError):
    """A name is unknown; `kind` says what it names: "model", "neuron", …

    >>> try:
    ...     clif.models.create_model("spiking_resnet19")
    ... except clif.errors.UnknownNameError as error:
    ...     print(error)
    unknown model 'spiking_resnet19'; did you mean spiking_resnet18 or spiking_resnet152 or spiking_resnet101?
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


MOST_LETTERS = 300


def in_words(error: BaseException) -> str:
    """The message of a library's error in one short line; the kind of the error if it has no message."""
    return cut(" ".join(str(error).split())) or type(error).__name__


def cut(text: str) -> str:
    """A text, or its beginning if it is too long for an error."""
    return f"{text[:MOST_LETTERS]}…" if len(text) > MOST_LETTERS else text


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """An error for a `name` that is not in `known`; it lists the nearest names first."""
    names = sorted(known)
    by_plain = {_plain(n): n for n in names}
    for same in SYNONYMS:
        for ours in by_plain.keys() & set(map(_plain, same)):
            by_plain = dict.fromkeys(map(_plain, same), by_plain[ours]) | by_plain
    close = difflib.get_close_matches(_plain(cut(str(name))), by_plain, n=3, cutoff=0.5)
    near = list(dict.fromkeys(by_plain[n] for n in close))
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UnknownNameError(f"unknown {kind} {cut(str(name))!r}; {hint}", kind)


def _plain(name: str) -> str:
    """A name or option in lower case, with underscores and without leading dashes, for comparisons."""
    return name.lower().lstrip("-").replace("-", "_")


class MissingFileError(InputError, FileNotFoundError):
    """A required file or folder does not exist.

    >>> try:
    ...     clif.load("no/such/run")
    ... except clif.errors.MissingFileError as error:
    ...     print(error)
    no checkpoint at no/such/run
    """
