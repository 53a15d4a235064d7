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
    """AEDAT 3.1 with `packet` events a packet, a new one after every 31-bit overflow, and triggers between."""
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
