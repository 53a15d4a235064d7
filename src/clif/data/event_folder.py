"""The data set `events`: the user's own recordings of an event camera, in class folders.

`ROOT/train/CLASS/…` with `ROOT/test/CLASS/…` or `ROOT/val/CLASS/…`; or `ROOT/CLASS/…` with a seeded stratified split.
Everything below a class folder belongs to the class; formats are those of `read_recording`.
"""

import hashlib
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from numpy.typing import NDArray

from clif.data.any_recording import SUFFIXES, read_raw
from clif.data.base import Dataset, Source, Split
from clif.data.cifar10dvs import CIFAR10_DVS
from clif.data.class_folders import Kind, Listing, choose_part, classes_of, list_folder
from clif.data.event_columns import common_size, common_unit, to_events
from clif.data.events import Events
from clif.data.recordings import FrameFormat, sample_of
from clif.data.untrusted import naming
from clif.data_options import OF_FILES, OF_RECORDINGS, DataOptions
from clif.errors import InputError, MissingFileError
from clif.sizes import plain_size

RECORDINGS = Kind(
    "recording",
    SUFFIXES,
    "recordings must be in ROOT/train/CLASS and ROOT/test/CLASS, or in ROOT/CLASS",
    beside=(".csv", ".tsv", ".txt"),
)
PROBED = 8
"""The number of recordings to try until one can be read and has the sensor's size."""


def open_events(root: Path, options: DataOptions) -> Dataset:
    """The description of the recordings in a folder: its classes are those of the training set.

    The sensor's size, and for frames by time or duration the unit of the times, are those of the first recording that
    can be read, or as given. Raises `InputError` if both are missing, if there are no recordings or some
    outside of class folders, and for options of other sets.
    """
    options.allow("events", *OF_RECORDINGS, *OF_FILES, "test_split", "split_seed", "classes")
    if options.resize != DataOptions.resize and not options.image_size:
        raise InputError("resize has no effect without image_size; add --image-size, or leave it out")
    known = bool(options.classes and options.sensor_size)
    listing = None if known else list_events(root)
    if listing is not None:
        if not options.classes:
            options = replace(options, classes=classes_of(listing, RECORDINGS, options))
        width, height = probe(listing, options)
        options = replace(options, sensor_size=f"{width}x{height}")
    return describe_events(options)


def describe_events(options: DataOptions) -> Dataset:
    """The description of recordings whose classes and sensor's size the options have; without any files."""
    width, height = options.sensor()
    return Dataset(
        name="events",
        classes=options.classes,
        in_channels=2,
        image_size=options.image_size or plain_size((height, width)),
        events=True,
        recordings=options,
        fixed_classes=False,
        strong=CIFAR10_DVS.strong,
        find=partial(find_events, options),
        read_recording=partial(read_one, options),
    )


def list_events(root: Path) -> Listing:
    if not root.is_dir():
        raise MissingFileError(f"{root} is not a folder; {RECORDINGS.layout}")
    return list_folder(root, RECORDINGS)


def probe(listing: Listing, options: DataOptions) -> tuple[int, int]:
    """The sensor's (width, height) from the first recording that can be read, if none is given.

    Raises `InputError` if it has no size, if the times have no unit and need one, and if no recording can be read.
    """
    given = options.sensor() if options.sensor_size else None
    files = [path for part in listing.parts.values() for _, path in part]
    failed = None
    for path in files[:PROBED]:
        try:
            said, unit = said_by(path, path.stat().st_mtime_ns, given, options.columns)
        except InputError as error:
            failed = failed or error
            continue
        with naming(path):
            _require_unit(common_unit(unit, options.time_unit), options)
            if (size := common_size(said, given)) is None:
                raise InputError(
                    "does not store the size of its sensor; give it, such as --sensor-size 346x260 (width x height)"
                )
        return size
    if failed is None:
        raise MissingFileError(f"{listing.source} has no recordings; {RECORDINGS.layout}")
    raise failed


@lru_cache
def said_by(
    path: Path, _changed: int, given: tuple[int, int] | None, columns: str
) -> tuple[tuple[int, int] | None, str]:
    """The sensor's size and the unit of the times in a recording, read again only if the file changes."""
    raw = read_raw(path, given, columns, sort=True)
    return raw.size, raw.unit


def find_events(options: DataOptions, root: Path, train: bool, T: int, sort_events: bool = False) -> Split:
    """The recordings of a part in the order of their classes and names; `options` has the classes and the sensor."""
    listing = list_events(root)
    part = choose_part(listing, RECORDINGS, options, train)
    form = frame_format(options, T, sort_events)
    sources = [Source(path, (label,), partial(load, options, form, path)) for label, path in part.files]
    name = f"events-{'train' if train else 'test'}"
    parameters = describe(options, form, part.official)
    return Split(listing.base, name, parameters, form.shape, form.dtype, sources, part.missing)


def frame_format(options: DataOptions, T: int, sort_events: bool = False) -> FrameFormat:
    width, height = options.sensor()
    return FrameFormat(
        T,
        plain_size((height, width)),
        resized=options.image_size or None,
        sort=sort_events,
        resize=options.resize,
        split_by=options.split_by,
        duration=options.duration,
    )


def describe(options: DataOptions, form: FrameFormat, official: bool) -> str:
    """Everything on which the samples depend besides their files, as a part of a file's name."""
    words = [form.parameters]
    if options.image_size:
        words.append(f"{options.resize}-of-{options.sensor_size}")
    if options.time_unit or options.columns:
        said = f"{options.time_unit} {options.columns}"
        words.append(hashlib.sha256(said.encode()).hexdigest()[:8])
    if not official:
        words.append(f"split{options.split_seed}-{options.test_split}")
    return "-".join(words)


def load(options: DataOptions, form: FrameFormat, path: Path) -> NDArray:
    """One recording as a sample [1, T, 2, H, W]."""
    return sample_of(form, path, partial(read_events, options, sort=form.sort))


def read_events(options: DataOptions, path: Path, sort: bool = False) -> Events:
    """The events of a recording, within the sensor of the set, with times in µs if the frames need them."""
    size = options.sensor()
    raw = read_raw(path, size, options.columns, sort)
    with naming(path):
        _require_unit(common_unit(raw.unit, options.time_unit), options)
        return to_events(raw, size, options.time_unit, sort)


def read_one(options: DataOptions, path: Path, T: int, sort: bool = False) -> NDArray:
    """One recording as a sample of T frames [1, T, 2, H, W]."""
    return load(options, frame_format(options, T, sort), path)


def _require_unit(unit: str, options: DataOptions) -> None:
    if options.split_by != "number" and not unit:
        raise InputError(
            f"does not store the unit of its times, which frames by {options.split_by} need; give it: --time-unit "
            "us, ms or s"
        )
