"""Augmentation by the names of its operations: "crop:2,flip,cutout:0.5"."""

from collections.abc import Callable
from dataclasses import replace

from clif.data.augment import Augmentation, Crop, CutOut, Flip, Operation, RandomErasing
from clif.data.warp import Roll, Rotate, Shear
from clif.errors import InputError, unknown_name

NAMED: dict[str, tuple[Callable[..., Operation], Callable[[str], float] | None, float]] = {
    "crop": (Crop, int, 64),
    "flip": (Flip, None, 0),
    "cutout": (CutOut, float, 1),
    "erase": (RandomErasing, float, 1),
    "rotate": (Rotate, float, 180),
    "roll": (Roll, int, 64),
    "shear": (Shear, float, 60),
}
"""The operations that `read_augmentation` takes: how the number after a colon is read, and its largest value."""


def read_augmentation(text: str, events: bool = False) -> Augmentation:
    """Operations by name, in their order, with a number after a colon: "crop:2,flip,cutout:0.5"; "none" for none.

    `crop:PADDING` in pixels (4), `flip`, `cutout:CHANCE` (0.5), `rotate:DEGREES` and `shear:DEGREES` (up to 15),
    `roll:PIXELS` (up to 5) and, on normalised images, `erase:CHANCE` (0.1). With `events`, cutout leaves no events in
    its box.
    Raises `InputError` for another name or number.
    """
    if not isinstance(text, str):
        raise InputError(f"augmentation must be a text such as 'crop:4,flip', got {text!r}")
    operations = [_read_operation(word.strip()) for word in text.split(",")] if text != "none" else []
    if events:
        operations = [replace(one, value=0) if isinstance(one, CutOut) else one for one in operations]
    normalised = [operation for operation in operations if isinstance(operation, RandomErasing)]
    return Augmentation([operation for operation in operations if operation not in normalised], normalised)


def _read_operation(word: str) -> Operation:
    name, colon, text = word.partition(":")
    if name not in NAMED:
        raise unknown_name("augmentation", name, NAMED)
    kind, read, largest = NAMED[name]
    if not colon:
        return kind()
    try:
        number = read(text) if read else 0
    except ValueError:
        number = 0
    if not 0 < number <= largest:
        raise InputError(
            f"augmentation {word!r}: write crop:4, flip, cutout:0.5, erase:0.1, rotate:15, roll:5 or shear:15"
        )
    return kind(number)
