"""Batches of a data set, shuffled, augmented and normalised on the device."""

import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from clif.data.arguments import check_loading
from clif.data.augment import Augmentation, Draws, normalise
from clif.data.augmentation_names import read_augmentation
from clif.data.base import Arrays, Dataset, Split, check_split, for_torch, read_arrays
from clif.data.complete import absent_samples, compare_size, part_name, require_complete
from clif.data.hold_out import validation_split
from clif.data.mix import one_hot
from clif.data.registry import open_described
from clif.data.split_cache import load_split
from clif.data.statistics import channel_statistics
from clif.data_options import DataOptions, with_seed
from clif.devices import find_device
from clif.errors import InputError
from clif.paths import expand_home
from clif.random import epoch_seed, sample_keys

Batch = tuple[Tensor, Tensor]


class Share(NamedTuple):
    """A process's part of a batch: its samples (possibly none), their keys (`clif.random`), and the whole batch's size.

    A user's own loader has no keys.
    """

    images: Tensor
    labels: Tensor
    keys: Tensor | None
    batch_size: int


class Loader:
    """Iterates over (samples float32, labels) on one device.

    Samples are normalised images [N, C, H, W], or event frames [T, N, 2, H, W] with their counts. Labels are int64 [N],
    or float32 [N, classes] if the augmentation mixes samples. A GPU keeps the whole set in its stored format (images
    uint8, frames int16, or float16 if they were resized) if that takes less than half of its free memory. Otherwise,
    and on a CPU, batches come from `arrays`, in memory or mapped from disk. The samples are those `chosen` from
    `arrays`, or all.

    Each pass is one epoch; `epoch` counts them and may be set. Order, augmentation and keys depend only on `seed`, the
    epoch and the sample, and mixing on `seed`, the epoch and the batch. So `batches(epoch, start)` can start in the
    middle of an epoch and gives the same batches. Without shuffling the order is that of the files. If `world_size`
    processes read the same set, each gets its consecutive part of every batch: the batches do not depend on the number
    of processes, and each sample comes once.

    >>> loader = clif.data.create_loader("digits", train=False, batch_size=64)
    >>> len(loader), len(loader.dataset.classes)
    (6, 10)
    """

    def __init__(
        self,
        dataset: Dataset,
        arrays: Arrays,
        batch_size: int,
        device: torch.device,
        shuffle: bool,
        augmentation: Augmentation | None,
        seed: int,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
        chosen: np.ndarray | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"the batch size must be at least 1, got {batch_size}")
        if not 0 <= rank < world_size:
            raise InputError(f"of {world_size} processes the ranks are 0 to {world_size - 1}, got {rank}")
        self.dataset = dataset
        self.images = shared(arrays.images)
        self.chosen = torch.arange(len(arrays.labels)) if chosen is None else torch.from_numpy(chosen)
        if fits(self.images[:1].nbytes * len(self.chosen), device):
            self.images = (self.images if chosen is None else self.images[self.chosen]).to(device)
            self.chosen = torch.arange(len(self.chosen), device=device)
        self.labels = torch.from_numpy(arrays.labels if chosen is None else arrays.labels[chosen]).to(device)
        self.mean = torch.tensor(dataset.mean, device=device)
        self.std = torch.tensor(dataset.std, device=device)
        self.batch_size = batch_size
        self.device = device
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.seed = seed
        self.workers = workers
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    @property
    def num_samples(self) -> int:
        return len(self.labels)

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self.epoch += 1
        return self.batches(self.epoch - 1)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The (samples, labels) of `shares(epoch, start)` that are not empty."""
        return ((share.images, share.labels) for share in self.shares(epoch, start) if len(share.labels))

    def shares(self, epoch: int, start: int = 0) -> Iterator[Share]:
        """This process's part of each batch of `epoch`, from number `start` on; `workers` threads prepare them ahead.

        If the last batch has fewer samples than there are processes, the parts of the last processes are empty.
        """
        generator = Generator().manual_seed(epoch_seed(self.seed, epoch))
        n = self.num_samples
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        prepare = self._plain
        if self.augmentation is not None:
            draws = self.augmentation.draw(n, self.images.shape[-2], self.images.shape[-1], generator)
            mix = self.augmentation.mix
            mixing = mix.draw(len(self), generator) if mix is not None else torch.zeros(len(self))
            prepare = partial(self._augmented, self.augmentation, draws, mixing)
        jobs = itertools.islice(enumerate(order.split(self.batch_size)), start, None)
        job = partial(self._share, prepare, epoch)
        if self.workers == 0:
            yield from itertools.starmap(job, jobs)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque[Future[Share]] = deque()
            for number, index in jobs:
                ahead.append(pool.submit(job, number, index))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def plain_images(self, limit: int) -> Tensor:
        """At most `limit` samples, evenly spaced in file order, normalised and not augmented."""
        index = torch.linspace(0, self.num_samples - 1, min(limit, self.num_samples)).round().long()
        return self._normalised(self._take(index)[0])

    def position(self, epoch: int, batch: int) -> dict[str, int]:
        """The values that a checkpoint keeps to continue with number `batch` of `epoch`."""
        size = {"samples": self.num_samples, "batch_size": self.batch_size}
        return {"seed": self.seed, "epoch": epoch, "batch": batch, **size}

    def check_position(self, position: dict[str, int], where: str) -> None:
        """Raise `InputError` if continuing from a `position` would repeat or leave out samples of its epoch."""
        here = self.position(position["epoch"], position["batch"])
        for key, value in here.items():
            if position["batch"] and position[key] != value:
                raise InputError(
                    f"{where}: was written in the middle of an epoch with {key}={position[key]}, which is {value} "
                    "here; resume with the same data, -b, --seed and --val-split"
                )

    def _share(self, prepare: Callable[[int, Tensor, slice], Batch], epoch: int, number: int, batch: Tensor) -> Share:
        part = part_of_batch(len(batch), self.rank, self.world_size)
        keys = sample_keys(self.seed, epoch, batch[part]).to(self.device)
        return Share(*prepare(number, batch, part), keys, len(batch))

    def _plain(self, _number: int, batch: Tensor, part: slice) -> Batch:
        images, labels = self._take(batch[part])
        return self._time_first(self._normalised(images)), labels

    def _augmented(
        self, augmentation: Augmentation, draws: list[Draws], mixing: Tensor, number: int, batch: Tensor, part: slice
    ) -> Batch:
        mix, classes = augmentation.mix, self.dataset.num_classes
        if part.start == part.stop:
            images, labels = self._plain(number, batch, part)
            return images, labels if mix is None else one_hot(labels, classes)
        if mix is None:
            images, labels = self._changed(augmentation, draws, batch[part])
        elif len(batch) == part.stop - part.start:
            images, labels = self._changed(augmentation, draws, batch)
            images, labels = mix.apply(images, one_hot(labels, classes), mixing[number])
        else:
            neighbours = torch.arange(part.start - 1, part.stop) % len(batch)
            images, labels = self._changed(augmentation, draws, batch[neighbours])
            soft = one_hot(labels, classes)
            images, labels = mix.apply_with(images[1:], soft[1:], images[:-1], soft[:-1], mixing[number])
        return self._time_first(images), labels

    def _changed(self, augmentation: Augmentation, draws: list[Draws], index: Tensor) -> Batch:
        """The samples `index`, augmented and normalised but not mixed, [N, …]; and their labels."""
        stored, labels = self._take(index)
        channels = stored.shape[1:-2]
        images = augmentation.apply_stored(stored.flatten(1, -3), draws, index)
        images = self._normalised(images.unflatten(1, channels))
        return augmentation.apply_normalised(images.flatten(1, -3), draws, index).unflatten(1, channels), labels

    def _take(self, index: Tensor) -> Batch:
        """The samples `index` as stored, and their labels."""
        images = self.images[self.chosen[index.to(self.images.device)]]
        if self.device.type == "cuda" and not images.is_cuda:
            images = images.pin_memory()
        return images.to(self.device, non_blocking=True), self.labels[index.to(self.device)]

    def _normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std) if not self.dataset.events else images.float()

    def _time_first(self, images: Tensor) -> Tensor:
        return images.transpose(0, 1).contiguous() if images.dim() == 5 else images


def part_of_batch(size: int, rank: int, world_size: int) -> slice:
    """The consecutive part of a batch of `size` samples that a process gets; sizes differ by one at most."""
    each, more = divmod(size, world_size)
    first = rank * each + min(rank, more)
    return slice(first, first + each + (rank < more))


def shared(values: np.ndarray) -> Tensor:
    """The values as a tensor in the same memory, without PyTorch's warning if that is mapped to be read only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(values)


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes are to be copied to the device: to a GPU with more than twice as much free memory."""
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 2


def check_sorting(dataset: Dataset, sort_events: bool) -> None:
    """Raise `InputError` if there are no events to sort."""
    if sort_events and not dataset.events:
        raise InputError(f"{dataset.name} has images instead of events; leave out --sort-events")


def find_split(dataset: Dataset, root: Path, train: bool, T: int, sort_events: bool = False) -> Split | None:
    """The sources of a set that needs converting, or None."""
    check_sorting(dataset, sort_events)
    if dataset.find is None:
        return None
    split = dataset.find(root, train, T, sort_events)
    check_split(dataset, split)
    return split


def read_split(
    dataset: Dataset,
    root: Path,
    train: bool,
    T: int,
    allow_incomplete: bool = False,
    sort_events: bool = False,
    quiet: bool = False,
) -> Arrays:
    """The training or test set as arrays; a set that needs it is converted first, with a progress bar.

    Raises `MissingFileError` if the set is not complete, unless that is allowed. Then, and if the set is smaller than
    published, it prints one line. With `quiet` there are neither bar nor lines.
    """
    split = find_split(dataset, root, train, T, sort_events)
    folder, listed = (root, ()) if split is None else (split.root, split.missing)

    def check(labels: Sequence[int] | np.ndarray) -> None:
        name = f"{dataset.name} {part_name(train)}"
        require_complete(name, folder, absent_samples(dataset, labels, listed), allow_incomplete, quiet)

    if split is not None:
        check([label for source in split.sources for label in source.labels])
        arrays = load_split(split, quiet=quiet)
        arrays = replace(arrays, images=for_torch(dataset, arrays.images))
    else:
        arrays = read_arrays(dataset, root, train)
        if dataset.events and (frames := arrays.images.shape[1]) != T:
            raise InputError(
                f"the samples of {dataset.name} have {frames} frames, not T={T}; give T={frames} (-T {frames})"
            )
    check(arrays.labels)
    if not quiet:
        compare_size(dataset, train, folder, arrays.labels)
    return arrays


def measured(dataset: Dataset, training: Callable[[], Arrays]) -> Dataset:
    """The data set with the mean and standard deviation of its training set, if it has images and none of its own."""
    if dataset.events or dataset.mean:
        return dataset
    arrays = training()
    mean, std = (arrays.mean, arrays.std) if arrays.mean else channel_statistics(arrays.images)
    return replace(dataset, mean=mean, std=std)


def create_loader(
    name: str | Dataset,
    root: str | os.PathLike[str] | None = None,
    train: bool = True,
    batch_size: int = 128,
    T: int = 6,
    device: str | torch.device = "cpu",
    *,
    seed: int = 2022,
    shuffle: bool | None = None,
    augment: bool | None = None,
    augmentation: str = "",
    cutupmix_auto: bool = False,
    val_split: float = 0.0,
    validation: bool = False,
    split_seed: int | None = None,
    limit: int | None = None,
    allow_incomplete: bool = False,
    sort_events: bool = False,
    options: DataOptions | None = None,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Loader:
    """Batches (x, y) of a data set by name: x float32 [N, C, H, W] or, for events, [T, N, 2, H, W]; y int64 [N].

    Args:
        name: one of `DATASETS`, such as "digits" (needs no files), "cifar10", "images" or "events" (your own files); or
            a `Dataset`, for example that of a trained network, whose classes, sizes and normalisation are kept.
        root: the data set's folder or its parent; for images also a table (`clif.data.image_table`).
        train: the training set, shuffled and augmented, or the test set in file order.
        T: frames per sample of events. Static images have no time axis; the network repeats them for `net.T` steps.
        device: where the batches are prepared; a GPU keeps the whole set if it fits (`Loader`).
        seed: seed of the order and the augmentation.
        shuffle, augment: override the default of `train`, for example plain training images for calibration.
        augmentation: operations that replace the set's own, in the form of
    `clif.data.augmentation_names.read_augmentation`.
        cutupmix_auto: use the set's strong augmentation; if it mixes samples, labels are soft, [N, classes].
        val_split: hold this stratified fraction of the training set out, the same for the same `split_seed`.
        split_seed: the same as `split_seed` of `options`.
        validation: return the held-out part (in file order, not augmented) instead of the rest.
        limit: at most this many samples, evenly spaced in file order (so from all classes in sets sorted by class).
        allow_incomplete: accept a set that lacks classes, or files that its own lists name; one line says which.
        sort_events: sort recordings whose times run backwards, which are refused otherwise.
        options: how the files become samples (`DataOptions`); a `Dataset` that has files has got them already.
        workers: threads that prepare batches ahead; 0 prepares them when asked.
        rank, world_size: this process and how many there are; each gets its part of every batch of `batch_size`.

    Raises `InputError` for an unknown name, arguments of another type or outside their range, a missing device, and
    files that are missing, truncated or of another format.

    >>> loader = clif.data.create_loader("digits", train=True, batch_size=64)
    >>> x, y = next(iter(loader))
    >>> x.shape, y.shape
    (torch.Size([64, 3, 32, 32]), torch.Size([64]))
    """
    whole = {"T": T, "batch_size": batch_size, "limit": 1 if limit is None else limit, "seed": seed, "workers": workers}
    check_loading(train, val_split, **whole)
    options = with_seed(options, split_seed)
    dataset = open_described(name, root, options)
    device = find_device(device)
    if dataset.needs_root and root is None:
        raise InputError(f"{dataset.name} needs its folder: root=... (--data-dir on the command line)")
    if validation and not (train and val_split > 0):
        raise InputError("validation=True gives the part of the training set that val_split > 0 holds out")
    operations = read_augmentation(augmentation, dataset.events) if augmentation else dataset.augmentation
    if cutupmix_auto:
        if augmentation:
            raise InputError("cutupmix_auto is a complete augmentation; leave out augmentation")
        if dataset.strong is None:
            raise InputError(f"{dataset.name} has no --cutupmix-auto augmentation")
        operations = dataset.strong
    folder, quiet = Path(expand_home(root or "")), rank > 0
    arrays = read_split(dataset, folder, train, T, allow_incomplete, sort_events, quiet)
    dataset = measured(
        dataset, lambda: arrays if train else read_split(dataset, folder, True, T, allow_incomplete, quiet=quiet)
    )
    chosen = None
    if train and val_split > 0:
        kept, held_out = validation_split(arrays.labels, val_split, options.split_seed)
        chosen = held_out if validation else kept
    if limit is not None:
        chosen = np.arange(len(arrays.labels)) if chosen is None else chosen
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(limit, len(chosen))).round().astype(np.int64)]
    changing = train and not validation
    return Loader(
        dataset,
        arrays,
        batch_size,
        device,
        shuffle=changing if shuffle is None else shuffle,
        augmentation=operations if (changing if augment is None else augment) else None,
        seed=seed,
        workers=workers,
        rank=rank,
        world_size=world_size,
        chosen=chosen,
    )
