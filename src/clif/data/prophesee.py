"""Prophesee's formats: a reader of DAT, and of the headers of EVT (.raw) files."""

import re
from pathlib import Path

import numpy as np

from clif.data.clock import unwrap
from clif.data.event_columns import Raw
from clif.data.formats import describe
from clif.data.untrusted import foreign
from clif.errors import InputError

EVENT_TYPES = (0x00, 0x0C)
"""The codes of two-dimensional events, in older and in newer files."""

EVENT_BYTES = 8
CLOCK_BITS = 32
LAYOUTS = {1: (9, 8), 2: (14, 14)}
"""The bits of x and of y in the second half of an event, by version; the polarity is above them."""

GEOMETRY = re.compile(r"%\s*geometry\s+(\d{1,5})x(\d{1,5})(?!\d)", re.IGNORECASE)
FORMAT = re.compile(r"%\s*format\s", re.IGNORECASE)
FORMAT_SIDES = tuple(re.compile(rf"\b{side}=(\d{{1,5}})(?!\d)", re.IGNORECASE) for side in ("width", "height"))
SIDE = re.compile(r"%\s*(width|height)\s+(\d{1,5})\s*", re.IGNORECASE)
VERSION = re.compile(r"%\s*version\s+(\d{1,5})\s*", re.IGNORECASE)
EVT_VERSION = re.compile(r"%\s*(?:evt\s+|format\s+EVT)(\d)\.?(\d?)(?!\w)", re.IGNORECASE)


def read_dat(path: Path) -> Raw:
    """A DAT file of version 1 or 2, with times in µs that continue when the 32-bit clock wraps (71.6 min).

    After lines that begin with % come a byte for the type of the events and one for their size, 8, then events of two
    little-endian uint32: the time; x in the lowest bits, y above and the polarity on top (14, 14 and 4 bits, in
    version 1 9, 8 and 1). The header's Width and Height, if it has them, are the sensor's size.
    """
    with foreign(path, "a DAT recording"):
        content = path.read_bytes()
    lines, start = read_header(content)
    if (not lines or evt_version(lines)) and (other := describe(content)):
        raise InputError(f"is {other}, but a DAT recording is expected; give it the extension of its format")
    version = next((int(found[1]) for line in lines if (found := VERSION.fullmatch(line))), 0)
    if version not in LAYOUTS:
        raise InputError(
            f"its header names {f'the version {version}' if version else 'no version'}, DAT files of version 1 and 2 "
            "are read"
        )
    if len(content) < start + 2:
        raise InputError("ends inside its header; the file is truncated")
    kind, size = content[start], content[start + 1]
    if kind not in EVENT_TYPES or size != EVENT_BYTES:
        raise InputError(f"holds events of the type {kind:#x} with {size} bytes, not those of a camera (0xc, 8 bytes)")
    body = content[start + 2 :]
    if len(body) % EVENT_BYTES:
        raise InputError(f"{len(body)} bytes are not a whole number of 8-byte events; the file is truncated")
    words = np.frombuffer(body, dtype="<u4").reshape(-1, 2)
    bits_x, bits_y = LAYOUTS[version]
    address = words[:, 1]
    return Raw(
        {
            "t": unwrap(words[:, 0], CLOCK_BITS),
            "x": (address & ((1 << bits_x) - 1)).astype(np.int32),
            "y": (address >> bits_x & ((1 << bits_y) - 1)).astype(np.int32),
            "p": (address >> (bits_x + bits_y)).astype(np.int32) & (0xF if version == 2 else 1),
        },
        header_size(lines),
        "us",
    )


def read_header(content: bytes) -> tuple[list[str], int]:
    """The lines at the start that begin with %, and their end. Raises `InputError` for a line without an end."""
    lines = []
    position = 0
    while content.startswith(b"%", position):
        end = content.find(b"\n", position)
        if end < 0:
            raise InputError("ends inside its header; the file is truncated")
        lines.append(content[position:end].decode("latin1").rstrip("\r"))
        position = end + 1
        if lines[-1].strip().lower() == "% end":
            break
    return lines, position


def header_size(lines: list[str]) -> tuple[int, int] | None:
    """The sensor's (width, height) from a header."""
    for line in lines:
        if found := GEOMETRY.match(line):
            return int(found[1]), int(found[2])
        if FORMAT.match(line) and all(said := [pattern.search(line) for pattern in FORMAT_SIDES]):
            width, height = (int(one[1]) for one in said if one)
            return width, height
    sides = {found[1].lower(): int(found[2]) for line in lines if (found := SIDE.fullmatch(line))}
    return (sides["width"], sides["height"]) if len(sides) == 2 else None


def evt_version(lines: list[str]) -> str:
    """The version of EVT from a header: "2", "2.1" or "3"; "" if it names none."""
    found = next((found for line in lines if (found := EVT_VERSION.match(line))), None)
    return f"{found[1]}.{found[2]}".removesuffix(".").removesuffix(".0") if found else ""
