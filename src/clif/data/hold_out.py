"""A stratified split that depends on the seed and, for each sample, on its own name and those of its class."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clif.errors import InputError


def hold_out(
    names: Sequence[str], labels: Sequence[int], fraction: float, seed: int, classes: Sequence[str], where: str
) -> NDArray[np.bool_]:
    """Which of the samples are held out: `fraction` of each class, at least one and not all.

    Those are the first ones of the class in the order of the SHA-256 of seed and name. So a sample that is added or
    removed moves at most one other sample of its class to the other part, and none of other classes. Raises
    `InputError`, which names `where`, for a class of one sample.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    of_class = np.array(labels)
    for label in np.unique(of_class):
        members = np.flatnonzero(of_class == label)
        if len(members) < 2:
            raise InputError(
                f"{where}: the class {classes[label]} has one sample, which cannot be in both parts; "
                "add more, or give the test set a folder of its own"
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out[sorted(members.tolist(), key=lambda member: _rank(seed, names[member]))[:count]] = True
    return held_out


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()
