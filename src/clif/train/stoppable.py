"""Stops a run after a signal, or if its output is closed, with a checkpoint to resume from."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clif.output import reader_is_gone, silence_broken
from clif.train.engine import Follower
from clif.train.interrupt import GONE, SIGPIPE, Interrupted, StopRequest
from clif.train.learner import Learner
from clif.train.resume import LAST
from clif.train.state import capture, restore_random_state


class Stoppable(Learner):
    """A learner that saves its state and ends if `_stop` has a signal, or if its output has no reader."""

    _stop: StopRequest
    _signum: int | None = None
    _reader_is_gone = False

    def _asked_to_stop(self) -> int | None:
        """The signal that this process got; an output without a reader counts as one."""
        return self._stop.signum or (SIGPIPE if self._reader_is_gone or reader_is_gone() else None)

    def _stop_in_evaluation(self, before: dict[str, Any]) -> None:
        """Stop with the random state `before` the evaluation, which a resumed run repeats."""
        self._signum = self._asked_to_stop()
        if self._signum:
            restore_random_state(self, before)
        self._stop_if_asked()

    def _stop_if_asked(self, saves: bool = True) -> None:
        """Save, unless the state is that within a step, and raise `Interrupted` if there was a signal."""
        if not self._signum:
            return
        where = f"epoch {self.epoch + 1}, step {self.step} of {self.steps_per_epoch}"
        if saves:
            self.require_sound()
        if saves and (self.is_positioned or self.step == 0):
            self._save(LAST)
        else:
            where += ", which starts again when the run resumes"
        why = f"{GONE}; " if self._signum == SIGPIPE else ""
        path = shlex.quote(str(self.folder.path / LAST))
        if not self.engine.is_first:
            raise Follower(128 + self._signum)
        raise Interrupted(self._signum, f"{why}stopped in {where}", f", add to the same command: --resume {path}")

    def _save(self, name: str) -> None:
        """Write a checkpoint of the present state; all processes take part, and the first one writes."""
        content = capture(self)
        self.engine.only_first(lambda: self.folder.save(name, content))

    @contextmanager
    def _noticing_lost_workers(self) -> Iterator[None]:
        """End the run in an orderly way if a signal to all its processes also ended a DataLoader's worker."""
        try:
            yield
        except RuntimeError as error:
            self._signum = self._stop.signum
            if self._signum is None or self.engine.world_size > 1 or "DataLoader worker" not in str(error):
                raise
            self._stop_if_asked(saves=False)

    @contextmanager
    def _noticing_a_lost_reader(self) -> Iterator[None]:
        """End the run, after its checkpoint is written, if the reader of its output has closed it."""
        try:
            yield
        except BrokenPipeError:
            silence_broken()
            self._reader_is_gone = True
