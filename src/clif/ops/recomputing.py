"""State of a recomputation in the backward pass: whether modules are called again, and which results are unused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from clif import private_torch


class _Here(threading.local):
    brings_states = False
    last: nn.Module | None = None
    reads_spikes = True


_here = _Here()


@contextmanager
def with_states(last: nn.Module | None) -> Iterator[None]:
    """A context in which modules are called again after their states were set to those of the first call.

    The output of the neuron `last` is not used; only the values for its derivative are needed.
    """
    before = _here.brings_states, _here.last
    _here.brings_states, _here.last = True, last
    try:
        yield
    finally:
        _here.brings_states, _here.last = before


def is_last(module: nn.Module) -> bool:
    """Whether this is the neuron whose spikes are not used."""
    return _here.last is module


@contextmanager
def spikes_unread() -> Iterator[None]:
    """A context in which kernels need not compute spikes and states."""
    before, _here.reads_spikes = _here.reads_spikes, False
    try:
        yield
    finally:
        _here.reads_spikes = before


def reads_spikes() -> bool:
    """Whether the spikes that a kernel computes now are used."""
    return _here.reads_spikes


def in_backward() -> bool:
    """Whether this runs inside a backward pass of autograd, in which activation checkpointing computes modules again.

    False within `with_states`, in which a call is a normal one.
    """
    if torch.compiler.is_compiling() or _here.brings_states:
        return False
    return private_torch.graph_task() != -1
