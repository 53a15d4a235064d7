"""Stratified splits: of files by their names into training and test set, of a training set for validation."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

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


def validation_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out) of a stratified split, each in file order. `fraction` of the samples is held out."""
    if not 0 < fraction < 1:
        raise InputError(f"the validation split must be between 0 and 1, got {fraction}")
    try:
        kept, held_out = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise InputError(f"a validation split of {fraction} leaves no sample for some class: {error}") from error
    return np.sort(kept), np.sort(held_out)
