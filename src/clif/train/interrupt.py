"""Ctrl-C and SIGTERM end a run between two steps, after its checkpoint is written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from clif.output import flush, silence_broken

SIGPIPE = 13
"""The signal number in the exit code if the output has no reader, on any system."""

GONE = "the reader of the output closed it"


class Interrupted(Exception):
    """The run was asked to stop; its state is saved. `signum` is the signal, the message says how to continue.

    `what` is the message without that.
    """

    def __init__(self, signum: int, what: str, to_continue: str = "") -> None:
        super().__init__(f"{what}; to continue{to_continue}" if to_continue else what)
        self.signum = signum
        self.what = what

    @classmethod
    def by(cls, reason: BaseException, to_continue: str) -> "Interrupted":
        """The cause that stopped a command of several parts (this, Ctrl-C, a lost reader), and how to continue it."""
        if isinstance(reason, Interrupted):
            return cls(reason.signum, reason.what, to_continue)
        if isinstance(reason, BrokenPipeError):
            return cls(SIGPIPE, GONE, to_continue)
        return cls(signal.SIGINT, "interrupted", to_continue)


class StopRequest:
    """Within `with StopRequest() as stop`, the first signal sets `stop.signum`; a second Ctrl-C acts at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum


@contextmanager
def last_words(complete: str) -> Iterator[None]:
    """A context for printing the result of a long command. Without a reader, `Interrupted` names what is `complete`."""
    try:
        yield
        flush()
    except BrokenPipeError as error:
        silence_broken()
        raise Interrupted(SIGPIPE, f"{GONE}; complete: {complete}") from error
