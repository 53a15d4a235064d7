"""A stratified split that depends on the seed, and for each class only on the class itself."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clif.errors import InputError


def hold_out(
    labels: Sequence[int], fraction: float, seed: int, classes: Sequence[str], where: str
) -> NDArray[np.bool_]:
    """Which of the samples with these labels are held out: `fraction` of each class, at least one and not all.

    The choice within a class does not depend on the other classes. Raises `InputError`, which names `where`, for a
    class of one sample.
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
        held_out[np.random.default_rng([seed, label]).permutation(members)[:count]] = True
    return held_out
