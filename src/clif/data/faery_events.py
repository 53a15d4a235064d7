"""Recordings that faery reads, an optional package: AEDAT 4, Prophesee's EVT (.raw) and Event Stream (.es).

Separate processes read the files, because a damaged file can end the process that reads it: one process per thread,
kept for a while for the next file.
"""

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from clif.data.event_columns import Raw
from clif.data.prophesee import evt_version, header_size, read_header
from clif.data.untrusted import foreign
from clif.errors import InputError
from clif.extras import require

PROGRAM = Path(__file__).with_name("faery_process.py")
HEADER_BYTES = 1 << 16
LARGEST = (1 << 14, 1 << 14)
"""A sensor large enough for all events if a header has no size; the events are then checked against the real size."""

Answer = tuple[dict[str, Any], dict[str, NDArray]]

_idle: "list[subprocess.Popen[bytes]]" = []
"""The idle processes, which wait for a file."""


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
    answer = _ask_idle(question := [str(path.absolute()), kind, options]) or _ask(_start(path), question)
    if answer is None:
        raise InputError(f"{path}: cannot be read as {what}, damaged (faery ended at it)")
    said, columns = answer
    if "error" in said:
        raise InputError(f"{path}: cannot be read as {what}, truncated or foreign ({said['error']})")
    return Raw(columns, tuple(said["size"]), "us")


def _ask_idle(question: list[Any]) -> Answer | None:
    """The answer of a waiting process; None if there is none, or if it ended."""
    try:
        process = _idle.pop()
    except IndexError:
        return None
    return _ask(process, question)


def _ask(process: "subprocess.Popen[bytes]", question: list[Any]) -> Answer | None:
    """The answer of a process about a file, and its columns; None if it ended."""
    try:
        answer = _talk(process, question)
    except (OSError, ValueError):
        _end(process)
        return None
    except BaseException:
        process.kill()
        _end(process)
        raise
    _idle.append(process)
    return answer


def _start(path: Path) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise InputError(
            f"{path}: {sys.executable}, which clif uses to read it, does not run ({error.strerror})"
        ) from error


def _talk(process: "subprocess.Popen[bytes]", question: list[Any]) -> Answer:
    """The answer of a process. Raises `OSError` or `ValueError` if it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    n = answer.get("events", 0)
    kinds = {"t": "<u8", "x": "<u2", "y": "<u2", "p": "|u1"}
    return answer, {name: _array(process.stdout, n, np.dtype(kind)) for name, kind in kinds.items()}


def _array(stream: IO[bytes], n: int, dtype: np.dtype) -> NDArray:
    content = stream.read(n * dtype.itemsize)
    if len(content) < n * dtype.itemsize:
        raise ValueError("the process has ended")
    return np.frombuffer(content, dtype)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


@atexit.register
def _end_all() -> None:
    while _idle:
        _end(_idle.pop())


def _end(process: "subprocess.Popen[bytes]") -> None:
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream is not None:
                stream.close()
    process.wait()
