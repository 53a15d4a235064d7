"""The data sets by name, including those that a user registers."""

import dataclasses
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from clif.data.base import Dataset
from clif.data.cifar import CIFAR10, CIFAR100
from clif.data.cifar10dvs import CIFAR10_DVS
from clif.data.digits import DIGITS
from clif.data.dvs_gesture import DVS_GESTURE
from clif.data.event_folder import open_events
from clif.data.image_folder import open_images
from clif.data.nmnist import NMNIST
from clif.data.tiny_imagenet import TINY_IMAGENET
from clif.data_options import OF_RECORDINGS, DataOptions
from clif.errors import InputError, unknown_name
from clif.names import DATASET_ALIASES, dataset_name
from clif.paths import expand_home
from clif.registration import decorator, put
from clif.sizes import plain_size

Opener = TypeVar("Opener", bound=Callable[..., Dataset])

DATASETS: dict[str, Dataset | Callable[..., Dataset]] = {
    **{
        dataset.name: dataset
        for dataset in (DIGITS, CIFAR10, CIFAR100, TINY_IMAGENET, CIFAR10_DVS, DVS_GESTURE, NMNIST)
    },
    "images": open_images,
    "events": open_events,
}
"""The sets that are the same everywhere, and the functions that describe other sets: `f()` or `f(root, options)`."""


@overload
def register_dataset(name: Opener) -> Opener: ...
@overload
def register_dataset(name: str) -> Callable[[Opener], Opener]: ...
def register_dataset(name: Any) -> Any:
    """A function decorator: registers a data set by name for `create_loader`, `--dataset` and `clif data`.

    Without an argument the name is that of the function; upper and lower case do not matter. A function of the same
    module and qualified name is replaced, as in a notebook. The function returns the `Dataset`. It takes no arguments
    or, if the classes or sizes depend on the folder, `root` (a `Path`) and `options` (`DataOptions`). It then must call
    `options.allow` with the options that it uses, and keep the order of `options.classes` if they are given. Raises
    `InputError` for a name that is taken and for other arguments.

    >>> @clif.data.register_dataset
    ... def stripes():
    ...     def read(root, train):  # uint8 [n, C, H, W] and int64 [n]
    ...         images = np.zeros((200, 1, 32, 32), np.uint8)
    ...         images[::2, :, ::4] = 255
    ...         return clif.data.Arrays(images, np.arange(200) % 2)
    ...
    ...     return clif.data.Dataset("stripes", ("striped", "plain"), 1, 32, needs_root=False, read=read)
    >>> len(clif.data.create_loader("stripes", batch_size=50))
    4
    """
    return decorator("register_dataset", name, _register)


def _register(name: str, function: Any) -> Any:
    if not callable(function) or len(inspect.signature(function).parameters) not in (0, 2):
        raise InputError(
            f"register_dataset({name!r}) takes a function without arguments, or of root and options, that returns a "
            f"clif.data.Dataset; got {function!r}"
        )
    if dataset_name(name) != name.lower():
        raise InputError(f"the name {name!r} is an alias of {dataset_name(name)}; give {function.__name__} another")
    return put(DATASETS, name.lower(), function)


def spelling(name: str) -> str:
    """The registered spelling of a name or alias in any case. Raises `InputError` for an unknown one."""
    return _find(name)[0]


def get_dataset(name: str) -> Dataset:
    """The data set of that name or alias (in any case), if it needs no folder for its description.

    Raises `InputError` for an unknown name, with the nearest names, and for a set that its folder describes.

    >>> clif.data.get_dataset("cifar10").classes[:2]
    ('airplane', 'automobile')
    """
    key, found = _find(name)
    if lies_in_folder(key):
        raise InputError(f"the classes and shapes of {key} depend on its folder; use open_dataset({key!r}, root)")
    return found if isinstance(found, Dataset) else _described(key, found())


def lies_in_folder(name: str) -> bool:
    """Whether a set of that name is described by its folder, not by its name alone."""
    _, found = _find(name)
    return not isinstance(found, Dataset) and bool(inspect.signature(found).parameters)


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    options: DataOptions | None = None,
    trained: Dataset | None = None,
) -> Dataset:
    """The description of a data set by name, with the folder and the options on which it depends.

    `trained` is the description of the data that a network was trained on: its classes, sizes and normalisation are
    kept. Raises `InputError` for an unknown name, an option that the set does not use, a folder that is missing or has
    another layout, and classes that are not those of `trained`.

    >>> clif.data.open_dataset("digits").image_size
    32
    """
    key, found = _find(name)
    options = options or DataOptions()
    if not isinstance(options, DataOptions):
        raise InputError(f"options must be a clif.data.DataOptions, got {type(options).__name__}")
    if not lies_in_folder(key):
        options.allow(key, "split_seed")
        dataset = get_dataset(key)
    else:
        if root is None:
            raise InputError(f"{key} needs its folder: root=... (--data-dir on the command line)")
        if trained is not None:
            kept = kept_options(trained)
            options = dataclasses.replace(options, **kept, kept=tuple(kept))
        assert not isinstance(found, Dataset)
        dataset = _described(key, found(Path(expand_home(root)), options))
    if trained is not None and trained.classes != dataset.classes:
        raise InputError(
            f"{key} in {root} has {dataset.num_classes} classes, the network was trained on {trained.num_classes}, "
            "or on other classes or in another order; give the folder of its training"
        )
    return keep_statistics(dataset, trained)


def open_described(dataset: str | Dataset, root: str | os.PathLike[str] | None, options: DataOptions) -> Dataset:
    """`open_dataset` of a name or of a description without files; a `Dataset` that has files is returned.

    Raises `InputError` for options that such a `Dataset` would have got from `open_dataset`.
    """
    if isinstance(dataset, str):
        return open_dataset(dataset, root, options)
    if not dataset.has_files:
        return open_dataset(dataset.name, root, options, trained=dataset)
    if unused := options.changed({"split_seed"}):
        raise InputError(f"{unused[0]} has no effect on a Dataset that has its files; give it to open_dataset")
    return dataset


def kept_options(trained: Dataset) -> dict[str, Any]:
    """The options that make the samples of the data that a network was trained on, if options can express them."""
    if trained.recordings is None:
        kept: dict[str, Any] = {"resize": trained.resize, "classes": trained.classes}
        if isinstance(trained.image_size, int):
            kept["image_size"] = trained.image_size
        if trained.in_channels in (1, 3):
            kept["in_channels"] = trained.in_channels
        return kept
    return {**{name: getattr(trained.recordings, name) for name in OF_RECORDINGS}, "classes": trained.classes}


def keep_statistics(dataset: Dataset, trained: Dataset | None) -> Dataset:
    """The data set with the normalisation of `trained`, if it has none of its own."""
    if trained is None or dataset.mean or dataset.events:
        return dataset
    return dataclasses.replace(dataset, mean=trained.mean, std=trained.std)


def _find(name: str) -> tuple[str, Dataset | Callable[..., Dataset]]:
    key = dataset_name(name)
    if key not in DATASETS:
        raise unknown_name("dataset", name, [*DATASETS, *DATASET_ALIASES])
    return key, DATASETS[key]


def _described(name: str, dataset: Any) -> Dataset:
    if not isinstance(dataset, Dataset):
        raise InputError(f"the function of the data set {name} returned {dataset!r}, not a clif.data.Dataset")
    if (dataset.read is None) == (dataset.find is None):
        raise InputError(f"the data set {name} must have either read or find")
    classes = tuple(map(str, dataset.classes))
    mean, std = (tuple(map(float, values)) for values in (dataset.mean, dataset.std))
    if not len(mean) == len(std) in (0, dataset.in_channels):
        raise InputError(f"mean and std of the data set {name} must have a value for each of its channels, or none")
    size = plain_size(dataset.image_size, f"image_size of the data set {name}")
    return dataclasses.replace(dataset, name=name, classes=classes, image_size=size, mean=mean, std=std)
