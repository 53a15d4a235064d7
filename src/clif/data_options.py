"""The options of data sets that lie in a person's own folders. This module imports no torch."""

import dataclasses
from dataclasses import dataclass

from clif.errors import InputError, unknown_name

RESIZES = ("crop", "stretch")


@dataclass(frozen=True)
class DataOptions:
    """How the files of a data set become samples, where the set leaves that open; each set takes some of them.

    Args:
        image_size: height and width of the samples in pixels; 0 is the set's own (images: 64).
        in_channels: 1 (grey) or 3 (RGB); 0 is the set's own (images: 3).
        resize: "crop" scales the shorter side to `image_size` and cuts out the centre, "stretch" scales both sides.
        test_split: the stratified fraction that becomes the test set where the files say nothing of one.
        split_seed: of that split, and of the validation split.
        classes: the classes in the order of their labels, where they are known, as from a checkpoint.

    Raises `InputError` for a value outside its range.
    """

    image_size: int = 0
    in_channels: int = 0
    resize: str = "crop"
    test_split: float = 0.2
    split_seed: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image_size < 0:
            raise InputError(f"image_size must be at least 0, got {self.image_size}")
        if self.in_channels not in (0, 1, 3):
            raise InputError(f"in_channels must be 1 (grey) or 3 (RGB), got {self.in_channels}")
        if self.resize not in RESIZES:
            raise unknown_name("resize", self.resize, RESIZES)
        if not 0 < self.test_split < 1:
            raise InputError(f"test_split must lie between 0 and 1, got {self.test_split}")
        if self.split_seed < 0:
            raise InputError(f"split_seed must be at least 0, got {self.split_seed}")

    def allow(self, dataset: str, *taken: str) -> None:
        """Raise `InputError` for an option that was given and that the data set has no use for."""
        for field in dataclasses.fields(self):
            if field.name not in taken and getattr(self, field.name) != field.default:
                raise InputError(f"{field.name} has no effect on the data set {dataset}; leave it out")


CHOSEN = tuple(field.name for field in dataclasses.fields(DataOptions) if field.name != "classes")
"""The options that a person chooses, which are fields of `TrainConfig` too."""
