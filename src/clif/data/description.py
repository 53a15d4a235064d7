"""The description of the training data in a checkpoint, with which the network can be used without the data."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from clif.data.base import Dataset
from clif.data.event_folder import read_one
from clif.data.registry import get_dataset, keep_statistics, lies_in_folder, open_dataset
from clif.data_options import OF_FILES, OF_RECORDINGS, DataOptions
from clif.errors import InputError
from clif.sizes import plain_size

KEPT = ("name", "classes", "in_channels", "image_size", "events", "mean", "std", "resize")


def record(dataset: Dataset) -> dict[str, Any]:
    """The description of a data set in plain values."""
    values = {name: getattr(dataset, name) for name in KEPT}
    content = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    if dataset.recordings is not None:
        content["recordings"] = {name: getattr(dataset.recordings, name) for name in OF_RECORDINGS}
    return content


def read_record(content: Mapping[str, Any], where: str, files: DataOptions | None = None) -> Dataset:
    """The description from `record`, without any files; `files` describe the content of recordings (`OF_FILES`).

    Raises `InputError`, which names `where`, if the record is damaged.
    """
    try:
        values = {name: content[name] for name in KEPT}
        for name in ("classes", "mean", "std"):
            values[name] = tuple((str if name == "classes" else float)(value) for value in values[name])
        for name, kind in (("name", str), ("in_channels", int), ("events", bool), ("resize", str)):
            if not isinstance(values[name], kind):
                raise TypeError(f"{name} is {values[name]!r}")
        values["image_size"] = plain_size(values["image_size"])
        if not values["events"] and not len(values["mean"]) == len(values["std"]) == values["in_channels"]:
            raise ValueError("mean and std must have one value per channel")
        if (said := content.get("recordings")) is not None:
            values |= _recordings({name: said[name] for name in OF_RECORDINGS}, values["classes"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: its description of the data is damaged ({error})") from error
    dataset = Dataset(**values)
    if dataset.recordings is None or files is None:
        return dataset
    said_of_files = {name: getattr(files, name) for name in OF_FILES}
    return replace(dataset, **_recordings({**asdict(dataset.recordings), **said_of_files}, dataset.classes))


def _recordings(options: dict[str, Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """The conversion of your own recordings to samples, and the reader of one, as fields of a `Dataset`."""
    recordings = DataOptions(**{**options, "classes": classes})
    recordings.sensor()
    return {"recordings": recordings, "read_recording": partial(read_one, recordings)}


def trained_on(
    content: Mapping[str, Any] | None, name: str, root: str | Path, options: DataOptions, where: str
) -> Dataset:
    """The data that a network was trained on, from the record in its checkpoint if that is of the set `name`.

    Without such a record the name describes the set or, if necessary, its files in `root`. Raises `InputError` for an
    option that a set described by its name does not use.
    """
    if content is None or content.get("name") != name:
        return open_dataset(name, root, options)
    trained = read_record(content, where, options)
    if lies_in_folder(name):
        return trained
    options.allow(name, "split_seed")
    return keep_statistics(get_dataset(name), trained)
