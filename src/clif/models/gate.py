"""A lock of a network for calls, which may run at the same time, and for those that run one at a time.

These are the steps of streams, and calls that keep a state in the layers while they compute, as recurrent ones do.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

from clif.layers import StepModule
from clif.neurons.net import is_foreign


class Gate:
    """A lock that can be shared or exclusive; the thread that holds it may take it again, in either way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing: Counter[int] = Counter()
        self._owner: int | None = None
        self._depth = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A context that shares the lock: it waits while another thread holds it exclusively."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner in (None, me))
            self._sharing[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing[me] -= 1
                if not self._sharing[me]:
                    del self._sharing[me]
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A context that holds the lock exclusively: it waits while another thread holds it in any way."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner in (None, me) and not self._sharing.keys() - {me})
            self._owner = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._owner = None
                self._changed.notify_all()


def is_exclusive(net: nn.Module) -> bool:
    """Whether calls of a network for sequences must run one at a time, because of a layer's state."""
    return any(m.is_exclusive if isinstance(m, StepModule) else is_foreign(m) for m in net.modules())


_GATES: WeakKeyDictionary[nn.Module, Gate] = WeakKeyDictionary()
_LOCK = threading.Lock()


def gate(net: nn.Module) -> Gate:
    """The gate of a network. It is not an attribute of the network, because networks are copied and saved."""
    with _LOCK:
        return _GATES.setdefault(net, Gate())
