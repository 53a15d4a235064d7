"""The options of data sets in a user's own folders. This module imports no torch."""

import dataclasses
import re
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real

from clif.errors import InputError, unknown_name

RESIZES = ("crop", "stretch")
SPLITS = ("number", "time", "duration")
TIME_UNITS = ("us", "ms", "s")
COLUMNS = ("x", "y", "t", "p")
SENSOR_SIZE = re.compile(r"(\d{1,5})\s*[x×,]\s*(\d{1,5})", re.IGNORECASE)
LARGEST_SENSOR = 1 << 14
LARGEST_SEED = (1 << 32) - 1
KINDS: dict[type, tuple[type, str]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
}
LONGEST = 86_400_000_000
"""The length of a day in µs."""


@dataclass(frozen=True)
class DataOptions:
    """Options for converting the files of a data set to samples; each data set takes some of them.

    Args:
        image_size: height and width of the samples in pixels; 0 is the set's own (images: 64, events: the sensor's).
        in_channels: 1 (grey) or 3 (RGB); 0 is the set's own (images: 3).
        resize: "crop" scales the shorter side to `image_size` and crops the centre, "stretch" scales both sides.
        sensor_size: sensor of events, "WIDTHxHEIGHT" in pixels such as "346x260", if the files do not store it.
        split_by: events become T frames of equal "number", of equal "time", or of the "duration" from the first event.
        duration: length of a frame in µs, with split_by "duration".
        time_unit: unit of event times, "us", "ms" or "s", if the files do not store it; not needed by number.
        columns: the columns of event files without names, such as "x,y,t,p" ("-" for others).
        test_split: the stratified fraction that becomes the test set if the files define none.
        split_seed: seed of that split and of the validation split.
        classes: the classes in the order of their labels, if they are known, as from a checkpoint.
        kept: the names of options that are those of a trained network, which a data set need not use.

    Raises `InputError` for a value outside its range or of another type.

    >>> options = clif.data.DataOptions(image_size=96, resize="stretch")
    >>> options.image_size, options.in_channels, options.resize
    (96, 0, 'stretch')
    """

    image_size: int = 0
    in_channels: int = 0
    resize: str = "crop"
    sensor_size: str = ""
    split_by: str = "number"
    duration: int = 0
    time_unit: str = ""
    columns: str = ""
    test_split: float = 0.2
    split_seed: int = 0
    classes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind, words = KINDS.get(type(field.default), (object, ""))
            if not isinstance(value := getattr(self, field.name), kind):
                raise InputError(f"{field.name} must be {words}, got {value!r}")
        if self.image_size < 0:
            raise InputError(f"image_size must be at least 0, got {self.image_size}")
        if self.in_channels not in (0, 1, 3):
            raise InputError(f"in_channels must be 1 (grey) or 3 (RGB), got {self.in_channels}")
        if self.resize not in RESIZES:
            raise unknown_name("resize", self.resize, RESIZES)
        self._check_events()
        if not 0 < self.test_split < 1:
            raise InputError(f"test_split must be between 0 and 1, got {self.test_split}")
        if not 0 <= self.split_seed <= LARGEST_SEED:
            raise InputError(f"split_seed must be at least 0 and at most {LARGEST_SEED}, got {self.split_seed}")

    def _check_events(self) -> None:
        if self.sensor_size:
            self.sensor()
        if self.split_by not in SPLITS:
            raise unknown_name("split_by", self.split_by, SPLITS)
        if (self.duration != 0) != (self.split_by == "duration"):
            raise InputError("split_by duration and duration (µs of a frame) need each other; give both or neither")
        if not 0 <= self.duration <= LONGEST:
            raise InputError(f"duration must be at least 1 µs and at most {LONGEST} µs (a day), got {self.duration}")
        if self.time_unit and self.time_unit not in TIME_UNITS:
            raise unknown_name("time_unit", self.time_unit, TIME_UNITS)
        if self.time_unit and self.split_by == "number":
            raise InputError("time_unit has no effect on frames by number; leave it out, or add --split-by time")
        if self.columns:
            column_names(self.columns)

    def sensor(self) -> tuple[int, int]:
        """`sensor_size` as (width, height). Raises `InputError` if it is not a size."""
        found = SENSOR_SIZE.fullmatch(self.sensor_size.strip())
        size = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= min(size) <= max(size) <= LARGEST_SENSOR:
            raise InputError(f"sensor_size must be WIDTHxHEIGHT in pixels, such as 346x260, got {self.sensor_size!r}")
        return size

    def allow(self, dataset: str, *taken: str) -> None:
        """Raise `InputError` for an option that the data set does not use.

        `split_seed` is never refused, because any data set may have a validation split.
        """
        for name in self.changed({*taken, *self.kept, "split_seed"}):
            raise InputError(f"{name} has no effect on the data set {dataset}; leave it out")

    def changed(self, others: Collection[str] = ()) -> list[str]:
        """The names of the options that do not have their defaults, except `others`."""
        fields = [field for field in dataclasses.fields(self) if field.name not in {*others, "kept"}]
        return [field.name for field in fields if getattr(self, field.name) != field.default]


def with_seed(options: DataOptions | None, split_seed: int | None) -> DataOptions:
    """The options with a seed that is given beside them. Raises `InputError` if they name another one themselves."""
    options = DataOptions() if options is None else options
    if not isinstance(options, DataOptions):
        raise InputError(f"options must be a clif.data.DataOptions, got {type(options).__name__}")
    if split_seed in (None, options.split_seed):
        return options
    if options.split_seed:
        raise InputError(f"split_seed is {split_seed} and, in options, {options.split_seed}; give one of them")
    return dataclasses.replace(options, split_seed=split_seed)


def column_names(columns: str) -> list[str]:
    """The names in "x,y,t,p", "-" for columns of other things. Raises `InputError` unless each of the four comes
    once."""
    names = [name.strip().lower() for name in columns.split(",")]
    if sorted(name for name in names if name != "-") != sorted(COLUMNS):
        raise InputError(f"columns must name x, y, t and p once each, and others -, such as t,x,y,p; got {columns!r}")
    return names


OF_RECORDINGS = ("sensor_size", "image_size", "resize", "split_by", "duration")
"""The options that make samples of recordings."""

OF_FILES = ("time_unit", "columns")
"""The options that describe the content of recordings' files, which differs from file to file."""

CHOSEN = tuple(field.name for field in dataclasses.fields(DataOptions) if field.name not in ("classes", "kept"))
"""The options that a user chooses, which are also fields of `TrainConfig`."""
