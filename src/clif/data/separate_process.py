"""Files that separate processes read, because a damaged file can end the process that reads it, or keep it busy.

There is one process per thread, kept for a while for the next file.
"""

import atexit
import io
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clif.data.untrusted import foreign
from clif.errors import InputError

PROGRAM = Path(__file__).with_name("reader_process.py")

Answer = tuple[dict[str, Any], list[NDArray]]

_idle: "list[subprocess.Popen[bytes]]" = []
"""The idle processes, which wait for a file."""


def ask(path: Path, what: str, kind: str, **options: Any) -> Answer:
    """The answer of a separate process about a file, and its arrays; `kind` is one of reader_process.py.

    Raises `InputError` for a file that cannot be read as `what`.
    """
    with foreign(path, what):
        path.stat()
    question = [kind, str(path.absolute()), options]
    process = _waiting() or _start(path)
    answer = _ask(process, question)
    if answer is None and process.returncode == 0:  # it had waited long enough, and ended before the question
        answer = _ask(_start(path), question)
    if answer is None:
        raise InputError(f"{path}: cannot be read as {what}, damaged (the process that read it ended)")
    if "error" in answer[0]:
        with foreign(path, what):
            raise ValueError(answer[0]["error"])
    return answer


def _waiting() -> "subprocess.Popen[bytes] | None":
    """A process that waits for a file, if there is one."""
    with suppress(IndexError):
        while (process := _idle.pop()).poll() is not None:
            _end(process)
        return process
    return None


def _ask(process: "subprocess.Popen[bytes]", question: list[Any]) -> Answer | None:
    """The answer of a process about a file; None if it ended."""
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
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # the limit counts the memory of its threads
        )
    except OSError as error:
        raise InputError(
            f"{path}: {sys.executable}, which clif uses to read it, does not run ({error.strerror})"
        ) from error


def _talk(process: "subprocess.Popen[bytes]", question: list[Any]) -> Answer:
    """The answer of a process. Raises `OSError` or `ValueError` if it has ended."""
    assert process.stdin is not None
    assert isinstance(process.stdout, io.BufferedReader)
    process.stdin.write(json.dumps(question).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    return answer, [_array(process.stdout, np.dtype(dtype), shape) for dtype, shape in answer.pop("arrays")]


def _array(stream: io.BufferedReader, dtype: np.dtype, shape: list[int]) -> NDArray:
    array = np.empty(shape, dtype)
    if stream.readinto(array.reshape(-1).view(np.uint8).data) < array.nbytes:
        raise ValueError("the process has ended")
    return array


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
