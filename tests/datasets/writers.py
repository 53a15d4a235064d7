"""Writers of event files by their formats' specifications, independent of the readers they test."""

import struct
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Events = dict[str, NDArray]


def make_events(n: int, size: int = 128, start: int = 0, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    events = {name: rng.integers(0, high, n) for name, high in (("x", size), ("y", size), ("p", 2))}
    events["t"] = start + np.sort(rng.integers(0, 300_000, n))
    return events


def aedat2(events: Events, header: bytes = b"#!AER-DAT2.0\r\n# DVS128\r\n") -> bytes:
    records = zip(*(events[name].tolist() for name in "txyp"), strict=True)
    return header + b"".join(struct.pack(">II", y << 8 | x << 1 | p, t) for t, x, y, p in records)


def aedat3(events: Events, packet: int = 100, invalid: frozenset[int] = frozenset(), noise: bool = True) -> bytes:
    """AEDAT 3.1 with `packet` events per packet, a new packet after every 31-bit overflow, and triggers between."""
    content = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for begin, end in _packets(events["t"], packet):
        overflow = int(events["t"][begin]) >> 31
        words = b""
        for i in range(begin, end):
            t, x, y, p = (int(events[name][i]) for name in "txyp")
            words += struct.pack("<Ii", x << 17 | y << 2 | p << 1 | (i not in invalid), t & 0x7FFFFFFF)
        valid = sum(i not in invalid for i in range(begin, end))
        content += struct.pack("<HHiiiiii", 1, 0, 8, 4, overflow, end - begin, end - begin, valid) + words
        if noise:
            content += struct.pack("<HHiiiiii", 0, 0, 8, 4, overflow, 1, 1, 1) + struct.pack("<Ii", 3, 0)
    return content


def _packets(t: NDArray, packet: int) -> list[tuple[int, int]]:
    edges = sorted({*range(0, len(t), packet), *(np.flatnonzero(np.diff(t >> 31)) + 1).tolist(), len(t)})
    return list(pairwise(edges))


def nmnist(events: Events) -> bytes:
    records = zip(*(events[name].tolist() for name in "txyp"), strict=True)
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in records)


def dat(events: Events, version: int = 2, size: tuple[int, int] | None = None, kind: int = 0x0C) -> bytes:
    bits_x, bits_y = {1: (9, 8), 2: (14, 14)}[version]
    sides = "" if size is None else f"% Height {size[1]}\n% Width {size[0]}\n"
    header = f"% Data file containing CD events.\n% Version {version}\n{sides}% Date 2026-01-01 00:00:00\n"
    records = zip(*(events[name].tolist() for name in "txyp"), strict=True)
    packed = (struct.pack("<II", t % 2**32, p << bits_x + bits_y | y << bits_x | x) for t, x, y, p in records)
    return header.encode() + bytes([kind, 8]) + b"".join(packed)


def text(events: Events, names: str = "xytp", separator: str = ",", header: str | None = "", end: str = "\n") -> bytes:
    """One line per event; the default `header` is the columns' names, None means no header."""
    lines = [] if header is None else [header or separator.join(names)]
    rows = zip(*(events[name].tolist() for name in names), strict=True)
    return "".join(line + end for line in [*lines, *(separator.join(map(str, row)) for row in rows)]).encode()


def structured(events: Events, names: str = "xytp") -> NDArray:
    """A structured array, as in tonic's files."""
    array = np.zeros(len(events["t"]), [(name, np.int64 if name == "t" else np.int16) for name in names])
    for name in names:
        array[name] = events[name]
    return array
