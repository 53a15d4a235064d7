"""Batches of a data set that lives on the device as uint8: shuffled, augmented and normalised there."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Generator, Tensor

from clif.data.augment import Augmentation, Draws, normalise
from clif.data.base import Arrays, Dataset
from clif.data.cifar import CIFAR10, CIFAR100
from clif.data.digits import DIGITS
from clif.errors import InputError, unknown_name

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (DIGITS, CIFAR10, CIFAR100)}


def get_dataset(name: str) -> Dataset:
    """The data set of that name (any case). Raises `InputError` for an unknown one, with the nearest names."""
    if name.lower() not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name.lower()]


class Loader:
    """Iterates over (images float32 [N, C, H, W], labels int64 [N]) on one device.

    Each pass is one epoch; `epoch` counts them and may be set. Order and augmentation depend on `seed`, the epoch and
    the sample only, so `batches(epoch, start)` can begin in the middle of an epoch and give what it would have given.
    Without shuffling the order is that of the files.
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
    ) -> None:
        if batch_size < 1:
            raise InputError(f"the batch size must be at least 1, got {batch_size}")
        self.dataset = dataset
        self.images = torch.from_numpy(arrays.images).to(device)
        self.labels = torch.from_numpy(arrays.labels).to(device)
        self.mean = torch.tensor(dataset.mean, device=device)
        self.std = torch.tensor(dataset.std, device=device)
        self.batch_size = batch_size
        self.device = device
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.seed = seed
        self.workers = workers
        self.epoch = 0

    @property
    def num_samples(self) -> int:
        return len(self.labels)

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.epoch += 1
        return self.batches(self.epoch - 1)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of `epoch`, from number `start` on; `workers` threads prepare them ahead."""
        generator = Generator().manual_seed(epoch_seed(self.seed, epoch))
        n = self.num_samples
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        draws = None
        if self.augmentation is not None:
            draws = self.augmentation.draw(n, self.images.shape[-2], self.images.shape[-1], generator)
        jobs = ((index, draws) for index in order.split(self.batch_size)[start:])
        if self.workers == 0:
            yield from (self._prepare(*job) for job in jobs)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque[Future[tuple[Tensor, Tensor]]] = deque()
            for job in jobs:
                ahead.append(pool.submit(self._prepare, *job))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _prepare(self, index: Tensor, draws: Draws | None) -> tuple[Tensor, Tensor]:
        on_device = index.to(self.device)
        images = self.images[on_device]
        if self.augmentation is not None and draws is not None:
            images = self.augmentation.apply(images, draws.select(index, self.device))
        return normalise(images, self.mean, self.std), self.labels[on_device]


def epoch_seed(seed: int, epoch: int) -> int:
    """One 64-bit seed from the run's seed and the epoch, independent from epoch to epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def validation_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out) of a stratified split, each in file order. `fraction` of the samples is held out."""
    if not 0 < fraction < 1:
        raise InputError(f"the validation split must lie between 0 and 1, got {fraction}")
    try:
        kept, held_out = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise InputError(f"a validation split of {fraction} leaves no sample for some class: {error}") from error
    return np.sort(kept), np.sort(held_out)


def create_loader(
    name: str,
    root: str | os.PathLike[str] | None = None,
    train: bool = True,
    batch_size: int = 128,
    T: int = 6,
    device: str | torch.device = "cpu",
    *,
    seed: int = 2022,
    shuffle: bool | None = None,
    augment: bool | None = None,
    val_split: float = 0.0,
    validation: bool = False,
    split_seed: int = 0,
    limit: int | None = None,
    workers: int = 0,
) -> Loader:
    """Batches (x, y) of a data set by name: x float32 [N, C, H, W], y int64 [N].

    Args:
        name: "digits" (needs no files), "cifar10" or "cifar100".
        root: the data set's folder or its parent.
        train: the training set, shuffled and augmented, or the test set in file order.
        T: frames of a sample of event data; static images have no time axis: the network shows them `net.T` times.
        device: where the whole set is kept and the batches are made.
        seed: of the order and the augmentation.
        shuffle, augment: differ from what `train` says; for instance plain training images for calibration.
        val_split: hold this stratified fraction of the training set out, the same for the same `split_seed`.
        validation: give the held-out part (in file order, not augmented) instead of the rest.
        limit: only the first `limit` samples of what remains.
        workers: threads that prepare batches ahead; 0 prepares them when asked.

    Raises `InputError` for an unknown name, and for files that are missing, truncated or foreign.
    """
    dataset = get_dataset(name)
    if dataset.needs_root and root is None:
        raise InputError(f"{dataset.name} needs the folder it lies in: root=... (-data_dir on the command line)")
    if validation and not (train and val_split > 0):
        raise InputError("validation=True gives the part of the training set that val_split > 0 holds out")
    if T < 1:
        raise InputError(f"T must be at least 1 time step, got {T}")
    arrays = dataset.read(Path(root or ""), train)
    if train and val_split > 0:
        kept, held_out = validation_split(arrays.labels, val_split, split_seed)
        index = held_out if validation else kept
        arrays = Arrays(arrays.images[index], arrays.labels[index])
    if limit is not None:
        arrays = Arrays(arrays.images[:limit], arrays.labels[:limit])
    changing = train and not validation
    return Loader(
        dataset,
        arrays,
        batch_size,
        torch.device(device),
        shuffle=changing if shuffle is None else shuffle,
        augmentation=dataset.augmentation if (changing if augment is None else augment) else None,
        seed=seed,
        workers=workers,
    )
