"""Text files in the forms that editors save: with a byte-order mark, any line end, with or without a last one."""

import codecs
from pathlib import Path

from clif.data.untrusted import foreign
from clif.errors import InputError

ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks and their encodings; that of UTF-32 begins with that of UTF-16."""


def read_text(path: Path, errors: str = "replace") -> str:
    """A list or table in UTF-8, or in the encoding that its byte-order mark names.

    Bytes that do not fit the encoding are replaced: an error appears if they are used. With `errors` "strict" they
    raise `InputError`, as null characters always do, which binary files and UTF-16 without a byte-order mark have.
    """
    with foreign(path, "text in UTF-8"):
        content = path.read_bytes()
        encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
        text = content.decode(encoding, errors)
    if "\0" in text:
        raise InputError(f"{path}: is not UTF-8 text, it has null characters; save it as UTF-8")
    return text


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, with their numbers from 1."""
    numbered = enumerate(read_text(path).splitlines(), start=1)
    return [(number, line.strip()) for number, line in numbered if line.strip()]
