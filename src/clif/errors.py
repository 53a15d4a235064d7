"""The one exception for mistakes in what the user gave: an argument, a file, a flag, a configuration key."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Says what is wrong, where, and how to mend it. The command line prints it as one line and exits with code 2."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """An `InputError` for a `name` that is none of the `known`, with the nearest of them first."""
    names = sorted(known)
    by_lower = {n.lower(): n for n in names}
    near = [by_lower[n] for n in difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return InputError(f"unknown {kind} {str(name)!r}; {hint}")


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that should be there is not."""
