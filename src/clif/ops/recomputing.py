"""Whether a module is called again in the backward pass, by whom, and which of its results no one will read."""

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
    """Within it modules are called again by one that has brought them to the states of the first call.

    No one reads what the neuron `last` puts out: only what it keeps for its derivative is wanted.
    """
    before = _here.brings_states, _here.last
    _here.brings_states, _here.last = True, last
    try:
        yield
    finally:
        _here.brings_states, _here.last = before


def is_last(module: nn.Module) -> bool:
    """Whether this is the neuron whose spikes no one reads."""
    return _here.last is module


@contextmanager
def spikes_unread() -> Iterator[None]:
    """Within it kernels need not compute spikes and states."""
    before, _here.reads_spikes = _here.reads_spikes, False
    try:
        yield
    finally:
        _here.reads_spikes = before


def reads_spikes() -> bool:
    """Whether the spikes that a kernel computes now are read by someone."""
    return _here.reads_spikes


def in_backward() -> bool:
    """Whether this runs inside a backward pass of autograd, where activation checkpointing computes modules again.

    Not within `with_states`, where a call is as any other.
    """
    if torch.compiler.is_compiling() or _here.brings_states:
        return False
    return private_torch.graph_task() != -1
