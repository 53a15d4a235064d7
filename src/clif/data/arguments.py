"""The arguments of `create_loader`."""

from numbers import Integral, Real

import numpy as np

from clif.errors import InputError
from clif.sizes import is_count

LEAST = {"T": 1, "batch_size": 1, "limit": 1, "seed": 0, "workers": 0}
"""The least values of the arguments that are whole numbers."""


def check_loading(train: object, val_split: object, **counts: object) -> None:
    """Raise `InputError` for an argument of another type or outside its range; `counts` are those of `LEAST`."""
    for name, count in counts.items():
        if not is_count(count, LEAST[name]):
            raise InputError(f"{name} must be a whole number of at least {LEAST[name]}, got {count!r}")
    if not isinstance(train, Integral | np.bool_) or train not in (0, 1):
        raise InputError(f"train must be True for the training set or False for the test set, got {train!r}")
    if not isinstance(val_split, Real) or not 0 <= float(val_split) < 1:
        raise InputError(f"the validation split must be between 0 and 1, got {val_split!r}")
