"""Output on every terminal: characters that its encoding lacks are replaced by characters that every encoding has."""

import codecs
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from typing import Any

HANDLER = "clif.readable"

SUBSTITUTES = {
    "±": "+-",
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "←": "<-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "∞": "inf",
    "√": "sqrt",
    "°": " degrees",
    "²": "^2",
    "³": "^3",
    "¹": "^1",
    "⁸": "^8",
    "½": "1/2",
    "µ": "u",  # the micro sign and the Greek letter
    "μ": "u",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "λ": "lambda",
    "π": "pi",
    "σ": "sigma",
    "τ": "tau",
    "Δ": "Delta",
    "Θ": "Theta",
    "Σ": "Sigma",
    "′": "'",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "„": '"',
}


def readable(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: a readable substitute, else an escape such as \\xe9; \\xff is an undecodable byte."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    words = []
    for character in error.object[error.start : error.end]:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            words.append(f"\\x{code - 0xDC00:02x}")
        else:
            words.append(SUBSTITUTES.get(character) or character.encode("ascii", "backslashreplace").decode("ascii"))
    return "".join(words), error.end


codecs.register_error(HANDLER, readable)


def print_yaml(values: dict[str, Any]) -> None:
    """Print YAML for every terminal: characters that its encoding may lack are written as YAML escapes."""
    import yaml

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=unicode), end="")


def print_columns(lines: Sequence[Sequence[str]], words: Sequence[bool], indent: str = "") -> None:
    """Print lines of cells in columns, the header first; those of `words` stand at the left, numbers at the right."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(words))]
    for line in lines:
        cells = zip(line, widths, words, strict=True)
        print((indent + "  ".join(cell.ljust(w) if word else cell.rjust(w) for cell, w, word in cells)).rstrip())


@contextmanager
def every_character_printable() -> Iterator[None]:
    """A context in which stdout and stderr take every character in any encoding."""
    with ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stack.callback(_set_errors, stream, stream.errors)
                _set_errors(stream, HANDLER)
        yield


def _set_errors(stream: TextIOWrapper, errors: str | None) -> None:
    if not stream.closed:
        with suppress(BrokenPipeError):  # leaving this context flushes
            stream.reconfigure(errors=errors)
