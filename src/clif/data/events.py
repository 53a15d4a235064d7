"""Event-camera recordings: readers of AEDAT 2.0, AEDAT 3.1 and N-MNIST files.

Every reader returns a recording {"t", "x", "y", "p"}: times int64 [n] in µs, coordinates int32 [n] as stored,
polarities int32 [n] (1: brighter, 0: darker). A file that is truncated, of another format or empty, whose times run
backwards or whose events lie outside the sensor, raises an `InputError` that names it; with `sort` events out of order
are sorted by time instead. Clocks that wrap are unwrapped. The formats store no total length: a file cut exactly
between two events (for AEDAT 3.1 two packets) cannot be told from a shorter recording.
"""

import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clif.data.clock import in_order, unwrap
from clif.data.formats import describe
from clif.data.frames import FrameStream, integrate, integrate_duration
from clif.data.untrusted import naming
from clif.errors import InputError, MissingFileError

__all__ = [
    "Events",
    "FrameStream",
    "integrate",
    "integrate_duration",
    "parse_aedat2",
    "read_aedat2",
    "read_aedat3",
    "read_nmnist",
]

Events = dict[str, NDArray]
StrPath = str | os.PathLike[str]

DVS128_SIZE = 128
NMNIST_SIZE = (34, 34)
POLARITY_EVENT = 1
PACKET_HEADER = struct.Struct("<HHiiiiii")
OVERFLOW_BITS = 31
AEDAT2_CLOCK_BITS = 32
SPECIAL_BITS = 0x8000, 0x80000000, 0xFFFF8000
"""The upper 17 bits of an AEDAT 2.0 address of a DVS128 that is no pixel: the camera's mark, jAER's, and the first one
with its sign extended to 32 bits."""
NMNIST_CLOCK_BITS = 23
NMNIST_OVERFLOW_Y = 240
NMNIST_OVERFLOW = 1 << 13


def read_aedat2(path: StrPath, *, sort: bool = False) -> Events:
    """A DVS128 recording in AEDAT 2.0, as jAER writes it and CIFAR10-DVS ships it.

    After '#' lines come pairs of big-endian uint32, address and time. Address: polarity in bit 0, x in bits 1–7, y in
    bits 8–14. Bit 15 or 31 marks a special event, such as a trigger or synchronisation, which is skipped. Other higher
    bits mean another camera or damage. Times are unsigned, may start above 2³¹ and wrap at 2³² (71.6 min).
    """
    return parse_aedat2(_read_bytes(path), str(path), sort=sort)


def parse_aedat2(content: bytes, name: str, *, sort: bool = False) -> Events:
    """`read_aedat2` for the content of a file; errors call it `name`."""
    start = _skip_header(content, name, b"#!AER-DAT2.", b"#End Of ASCII Header")
    words = np.frombuffer(_whole_events(content, start, 8, name), dtype=">u4").astype(np.uint32).reshape(-1, 2)
    upper = words[:, 0] & 0xFFFF8000
    if upper.any():
        special = np.isin(upper, np.array(SPECIAL_BITS, dtype=np.uint32))
        foreign = (upper != 0) & ~special
        if foreign.any():
            first = int(foreign.argmax())
            raise InputError(
                f"{name}: event {first} has address {int(words[first, 0]):#x}, outside the 128×128 pixels of a DVS128; "
                "the file is damaged or from another camera, such as a DAVIS"
            )
        words = words[~special]
        if not len(words):
            raise InputError(f"{name}: the recording has no events of pixels, only {len(special)} special ones")
    address = words[:, 0].astype(np.int32)
    t = unwrap(words[:, 1], AEDAT2_CLOCK_BITS)
    return _checked(t, address >> 1 & 0x7F, address >> 8, address & 1, name, sort)


def read_aedat3(path: StrPath, *, sort: bool = False) -> Events:
    """A recording in AEDAT 3.1, as cAER writes it and DVS128 Gesture ships it.

    After '#' lines come packets, each a 28-byte header (type, source, event size, offset of the time, overflows of the
    31-bit time, capacity, number of events, number of valid ones) and its events. Polarity events are two little-endian
    uint32: validity in bit 0, polarity in bit 1, y in bits 2–16, x in bits 17–31; then the time. Invalid events and
    packets of other types (triggers, frames, IMU) are skipped. If the header names a DVS128 as its source, coordinates
    must be below 128.
    """
    name = str(path)
    content = _read_bytes(path)
    start = _skip_header(content, name, b"#!AER-DAT3.", b"#!END-HEADER")
    bodies, counts, overflows = _polarity_packets(content, start, name)
    if not bodies:
        raise InputError(f"{name}: the recording has no events")
    words = np.frombuffer(b"".join(bodies), dtype="<u4").reshape(-1, 2)
    data, t = words[:, 0], words[:, 1].astype(np.int64)
    starts = np.repeat(np.array(overflows, dtype=np.int64) << OVERFLOW_BITS, counts)
    valid = (data & 1).astype(bool)
    if not valid.all():
        data, t, starts = data[valid], t[valid], starts[valid]
    if t.max(initial=0) >> OVERFLOW_BITS:
        raise InputError(f"{name}: event {int((t >> OVERFLOW_BITS).argmax())} has a negative time; the file is damaged")
    t += starts
    data = data.astype(np.uint32)
    x, y = data >> 17, data >> 2 & 0x7FFF
    if b"DVS128" in content[:start] and len(data) and max(x.max(), y.max()) >= DVS128_SIZE:
        first = int(((x >= DVS128_SIZE) | (y >= DVS128_SIZE)).argmax())
        raise InputError(
            f"{name}: event {first} is at x {x[first]}, y {y[first]}, outside the 128×128 pixels of the DVS128 that "
            "its header names; the file is damaged"
        )
    return _checked(t, x, y, data >> 1 & 1, name, sort)


def read_nmnist(path: StrPath, *, sort: bool = False, size: tuple[int, int] = NMNIST_SIZE) -> Events:
    """An N-MNIST recording (Orchard et al., 2015): 34×34 pixels, 40 bits per event.

    An event has the bytes x and y, then big-endian one bit of polarity and 23 bits of time, which wraps after 8.4 s. An
    event with y = 240 is not a pixel but an overflow: it adds 2¹³ µs to all later times. N-Caltech101 has the same
    format with another `size` (width, height).
    """
    name = str(path)
    content = _read_bytes(path)
    try:
        records = np.frombuffer(_whole_events(content, 0, 5, name), dtype=np.uint8).reshape(-1, 5)
    except InputError:
        _refuse_other_format(content, name, "an N-MNIST recording")
        raise
    x, y, high, middle, low = records.T.astype(np.int32)
    t = (high & 0x7F) << 16 | middle << 8 | low
    overflow = y == NMNIST_OVERFLOW_Y
    if overflow.any():
        t = (t + NMNIST_OVERFLOW * np.cumsum(overflow, dtype=np.int64))[~overflow]
        x, y, high = (values[~overflow] for values in (x, y, high))
    width, height = size
    outside = (x >= width) | (y >= height)
    if outside.any():
        _refuse_other_format(content, name, "an N-MNIST recording")
        first = int(outside.argmax())
        raise InputError(
            f"{name}: event {first} is at x {x[first]}, y {y[first]}, outside the {width}×{height} pixels "
            "of the sensor; the file is damaged, or from another sensor: give its size by --sensor-size (set events)"
        )
    return _checked(unwrap(t, NMNIST_CLOCK_BITS), x, y, high >> 7, name, sort)


def _read_bytes(path: StrPath) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such recording") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


READERS = {"2": "read_aedat2", "3": "read_aedat3"}


def _refuse_other_format(content: bytes, name: str, wanted: str) -> None:
    """Raise `InputError` if the content has the mark of another format."""
    if found := describe(content):
        version = content[9:10].decode("latin1") if content.startswith(b"#!AER-DAT") else ""
        hint = f"clif.data.events.{READERS[version]} reads it" if version in READERS else "take the publisher's files"
        raise InputError(f"{name}: is {found}, but {wanted} is expected; {hint}")


def _skip_header(content: bytes, name: str, magic: bytes, end: bytes) -> int:
    """Where the data start: after the line `end`, or after the last '#' line if there is none."""
    if not content.startswith(magic):
        wanted = f"an AEDAT {magic[-2:].decode()}x recording"
        _refuse_other_format(content, name, wanted)
        raise InputError(
            f"{name}: is not an AEDAT file by its first bytes, or one of version 1.0; {wanted} is expected"
        )
    position = 0
    while content.startswith(b"#", position):
        line_end = content.find(b"\n", position)
        if line_end < 0:
            raise InputError(f"{name}: ends inside its header; the file is truncated")
        line = content[position:line_end]
        position = line_end + 1
        if line.startswith(b"#Format:") and line[8:].strip() != b"RAW":
            raise InputError(f"{name}: format {line[8:].strip().decode('latin1')} is not supported, only RAW")
        if line.startswith(b"# AEChip:") and b"davis" in line.lower():
            camera = line[9:].strip().decode("latin1").rsplit(".", 1)[-1]
            raise InputError(f"{name}: is from a {camera}, whose addresses are not those of a DVS128")
        if line.rstrip() == end:
            break
    return position


def _whole_events(content: bytes, start: int, size: int, name: str) -> memoryview:
    """The bytes from `start` on, which must be whole events of `size` bytes, and at least one."""
    if len(content) == start:
        raise InputError(f"{name}: the recording has no events")
    if (len(content) - start) % size:
        raise InputError(
            f"{name}: {len(content) - start} bytes are not a whole number of {size}-byte events; the file is truncated"
        )
    return memoryview(content)[start:]


def _polarity_packets(content: bytes, start: int, name: str) -> tuple[list[memoryview], list[int], list[int]]:
    """The events of each polarity packet as bytes, how many they are, and how often the clock had overflowed."""
    view = memoryview(content)
    bodies: list[memoryview] = []
    counts: list[int] = []
    overflows: list[int] = []
    position = start
    while position < len(content):
        if position + PACKET_HEADER.size > len(content):
            raise InputError(f"{name}: ends inside the packet header at byte {position}; the file is truncated")
        header = PACKET_HEADER.unpack_from(content, position)
        kind, _, size, time_offset, overflow, capacity, number, valid = header
        if kind & 0x8000:
            raise InputError(f"{name}: the packet at byte {position} is compressed, which is not supported")
        sane = size > 0 and 0 <= valid <= number <= capacity and 0 <= time_offset < size and overflow >= 0
        if not sane or (kind == POLARITY_EVENT and (size, time_offset) != (8, 4)):
            raise InputError(f"{name}: the packet header at byte {position} is not valid; the file is damaged")
        position += PACKET_HEADER.size
        end = position + number * size
        if end > len(content):
            raise InputError(
                f"{name}: a packet of {number} events at byte {position} goes past the end; the file is truncated"
            )
        if kind == POLARITY_EVENT:
            bodies.append(view[position:end])
            counts.append(number)
            overflows.append(overflow)
        position = end
    return bodies, counts, overflows


def _checked(t: NDArray, x: NDArray, y: NDArray, p: NDArray, name: str, sort: bool) -> Events:
    if not len(t):
        raise InputError(f"{name}: the recording has no events")
    coordinates = {k: v.astype(np.int32, copy=False) for k, v in zip("xyp", (x, y, p), strict=True)}
    with naming(name):
        return in_order({"t": t.astype(np.int64, copy=False), **coordinates}, sort)
