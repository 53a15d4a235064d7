"""How the C library hands out the memory of large tensors on a CPU. It is glibc's (Linux); elsewhere nothing changes.

By itself glibc keeps what a process frees, in pieces that are soon too small for the next large tensor: a third of what
a training process has is such waste. `lean` gives every large tensor back to the system at once, and has it in huge
pages, without which the system would take its time to hand out new ones. It is for a program to call, not a library.
"""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 4 * 2**20
KEPT = 2**30  # bytes of freed memory that are not given back at once, because they may be asked for again
USUAL_LARGE, USUAL_KEPT = 32 * 2**20, 64 * 2**20  # what glibc comes to by itself after large tensors were freed
ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}  # PyTorch's; it looks when it first allocates


def lean() -> None:
    """Give large tensors back at once; in huge pages if PyTorch has not allocated anything yet.

    >>> clif.memory.lean()
    >>> clif.memory.usual()
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _set(LARGE, KEPT)


def keep() -> None:
    """Keep what is freed, so that it need not be asked for, and cleared by the system, again.

    Not so tensors of 32 MiB or more, which glibc gives back at once, and what is free beyond 1 GiB at the heap's end.

    >>> clif.memory.keep()
    >>> clif.memory.usual()
    """
    _set(USUAL_LARGE, KEPT)


def usual() -> None:
    """As glibc does it by itself.

    >>> clif.memory.usual()
    """
    _set(USUAL_LARGE, USUAL_KEPT)


def _set(large: int, kept: int) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, large)
    mallopt(M_TRIM_THRESHOLD, kept)
