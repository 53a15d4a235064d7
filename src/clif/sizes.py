"""Heights and widths of images, as one number if they are equal."""

import operator
from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral
from typing import Any

from clif.errors import InputError

Size = int | tuple[int, int]
"""The pixels of a side of square images, or (height, width)."""


def height_width(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def plain_size(size: Any, name: str = "image_size") -> Size:
    """A size as one number if its sides are equal, else as (height, width).

    Raises `InputError`, with the `name` of the argument, for anything else.
    """
    sides = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else [size, size]
    if len(sides) != 2 or not all(map(is_count, sides)):
        raise InputError(f"{name} must be a whole number of pixels, or (height, width), got {size!r}")
    height, width = map(int, sides)
    return height if height == width else (height, width)


def is_count(value: object, least: int = 1) -> bool:
    """Whether a value is a whole number of at least 1, or of at least `least`."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def plain_count(name: str, value: Any) -> int:
    """A whole number of at least 1 as an int, also from a scalar of NumPy or torch. Raises `InputError` otherwise."""
    with suppress(TypeError):
        if not isinstance(value, bool) and (number := operator.index(value)) >= 1:
            return number
    raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
