"""Recordings that faery reads, an optional package: AEDAT 4, Prophesee's EVT (.raw) and Event Stream (.es)."""

from pathlib import Path
from typing import Any

from clif.data.event_columns import Raw
from clif.data.prophesee import evt_version, header_size, read_header
from clif.data.separate_process import ask
from clif.data.untrusted import foreign
from clif.errors import InputError
from clif.extras import require

HEADER_BYTES = 1 << 16
LARGEST = (1 << 14, 1 << 14)
"""A sensor large enough for all events if a header has no size; the events are then checked against the real size."""


def read_aedat4(path: Path) -> Raw:
    """The first stream of events of an AEDAT 4 file, as iniVation's DV writes it."""
    return _read(path, "an AEDAT 4 recording", "aedat")


def read_es(path: Path) -> Raw:
    """An Event Stream of a camera without colours (DVS)."""
    return _read(path, "an Event Stream recording", "es")


def read_evt(path: Path) -> Raw:
    """Prophesee's EVT 2, 2.1 or 3; the header must name its version, and may name the sensor's size."""
    with foreign(path, "an EVT recording"), path.open("rb") as file:
        lines, _ = read_header(file.read(HEADER_BYTES))
    version = evt_version(lines)
    if not version:
        raise InputError("its header does not name the version of EVT (a line such as % evt 3.0)")
    raw = _read(path, "an EVT recording", "evt", dimensions_fallback=LARGEST, version_fallback=f"evt{version}")
    return Raw(raw.columns, header_size(lines), raw.unit)


def _read(path: Path, what: str, kind: str, **options: Any) -> Raw:
    require("faery", f"{path}: {what}")
    answer, columns = ask(path, what, "events", file_type=kind, **options)
    return Raw(dict(zip("txyp", columns, strict=True)), tuple(answer["size"]), "us")
