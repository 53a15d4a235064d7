"""Settings of glibc's allocator (Linux) for large tensors on a CPU; on other systems they change nothing.

By default glibc keeps the memory that a process frees, in pieces that are soon too small for the next large tensor.
`lean` returns every large tensor to the system at once. It uses huge pages, because the system takes long to provide
many small ones. Call it in a program, not in a library.
"""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 4 * 2**20
KEPT = 2**30  # bytes of freed memory that are kept for later requests
USUAL_LARGE, USUAL_KEPT = 32 * 2**20, 64 * 2**20  # glibc's own values after large tensors were freed
ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}  # a variable of PyTorch, which reads it at its first allocation


def lean() -> None:
    """Return large tensors to the system at once; use huge pages if PyTorch has not allocated anything yet.

    >>> clif.memory.lean()
    >>> clif.memory.usual()
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _set(LARGE, KEPT)


def keep() -> None:
    """Keep freed memory for later tensors, so the system need not provide and clear it again.

    glibc still returns tensors of 32 MiB or more at once, and free memory beyond 1 GiB at the end of the heap.

    >>> clif.memory.keep()
    >>> clif.memory.usual()
    """
    _set(USUAL_LARGE, KEPT)


def usual() -> None:
    """Restore glibc's default.

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
