"""What a checkpoint keeps of the data that its network was trained on, so that the network can be used without them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clif.data.base import Dataset
from clif.data.registry import get_dataset, keep_statistics, lies_in_folder, open_dataset
from clif.data_options import DataOptions
from clif.errors import InputError

KEPT = ("name", "classes", "in_channels", "image_size", "events", "mean", "std", "resize")


def record(dataset: Dataset) -> dict[str, Any]:
    """The description of a data set in plain values."""
    values = {name: getattr(dataset, name) for name in KEPT}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read_record(content: Mapping[str, Any], where: str) -> Dataset:
    """The description from `record`, without any files. Raises `InputError`, which names `where`, for a damaged one."""
    try:
        values = {name: content[name] for name in KEPT}
        for name in ("classes", "mean", "std"):
            values[name] = tuple((str if name == "classes" else float)(value) for value in values[name])
        for name, kind in (("name", str), ("in_channels", int), ("image_size", int), ("events", bool), ("resize", str)):
            if not isinstance(values[name], kind):
                raise TypeError(f"{name} is {values[name]!r}")
        if not values["events"] and not len(values["mean"]) == len(values["std"]) == values["in_channels"]:
            raise ValueError("mean and std have not one value a channel")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: its description of the data is damaged ({error})") from error
    return Dataset(**values)


def trained_on(
    content: Mapping[str, Any] | None, name: str, root: str | Path, options: DataOptions, where: str
) -> Dataset:
    """The data that a network was trained on, from the record in its checkpoint where that is of the set `name`.

    Without such a record the set is described by its name or, where it needs them, by its files in `root`.
    """
    if content is None or content.get("name") != name:
        return open_dataset(name, root, options)
    trained = read_record(content, where)
    return trained if lies_in_folder(name) else keep_statistics(get_dataset(name), trained)
