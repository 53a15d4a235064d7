"""Output whose reader may close it, as in `clif train … | head -1`; without torch."""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO
from weakref import WeakSet

_without_reader: "WeakSet[Any]" = WeakSet()


def reader_is_gone() -> bool:
    """Whether the program's stdout or stderr was found to have no reader."""
    return sys.stdout in _without_reader or sys.stderr in _without_reader


def silence(stream: TextIO) -> None:
    """Discard further output of a stream without a reader."""
    _without_reader.add(stream)
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush() -> None:
    """Flush the output. Raises `BrokenPipeError`, and silences stdout, if it has no reader."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
        raise


def silence_broken() -> None:
    """Silence stdout and stderr if they have no reader."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            silence(stream)


class ProgressStream:
    """A text stream for progress bars: without a reader it is silent, and `reader_is_gone`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except BrokenPipeError:
            silence(self._stream)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            silence(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
