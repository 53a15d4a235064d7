"""Loaders of the user in one process or many; loaders that could repeat samples between processes are refused."""

import copy
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sized
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from clif.data.loader import Loader, Share, part_of_batch
from clif.errors import InputError
from clif.evaluation import pair_of
from clif.train.engine import Engine
from clif.train.folder import kept_name

POSITIONED = ("shares", "position", "check_position", "num_samples", "batch_size", "__len__")
"""The attributes of a loader that can begin in the middle of an epoch, such as `clif.data.Loader`."""

WHOLE = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)
"""Samplers that give every process all samples."""

ADVICE = (
    "pass a torch.utils.data.DataLoader with batch_size= and a map-style data set (TensorDataset(x, y), …), or train "
    "in one process"
)


def is_positioned(loader: Any) -> bool:
    """Whether a loader can begin in the middle of an epoch."""
    return all(hasattr(loader, name) for name in POSITIONED)


def place(loader: Any, part: str, engine: Engine) -> Any:
    """A loader, `loaders[part]`, in a form that gives this process its part of every batch, on its device.

    Raises `InputError` unless it is known that each sample goes to one process only.
    """
    if is_positioned(loader):
        return _positioned(loader, part, engine)
    sampler = _sampler(loader)
    if isinstance(sampler, DistributedSampler):
        _check_split(sampler, part, engine)
        return Batches(loader, part, engine.device, engine.world_size)
    if engine.world_size == 1:
        return Batches(loader, part, engine.device)
    if why := _not_divisible(loader):
        raise InputError(f"loaders[{part!r}] in {engine.world_size} processes: {why}; {ADVICE}")
    return Parts(loader, part, engine)


def generators(loaders: Iterable[Any]) -> list[torch.Generator]:
    """The generators of random numbers of loaders and their samplers, each once."""
    found: dict[int, torch.Generator] = {}
    for loader in loaders:
        given = getattr(loader, "batches", loader)
        holders = (given, getattr(given, "sampler", None), getattr(given, "batch_sampler", None), _sampler(given))
        for generator in (getattr(holder, "generator", None) for holder in holders):
            if isinstance(generator, torch.Generator):
                found[id(generator)] = generator
    return list(found.values())


def likeness(loader: Any) -> tuple[Any, ...]:
    """The properties that must be equal in the loaders of all processes, because they share the same batches."""
    if not isinstance(loader, Batches):
        return tuple(getattr(loader, name, None) for name in ("num_samples", "batch_size", "seed", "shuffle"))
    sampler, dataset = _sampler(loader.batches), getattr(loader.batches, "dataset", None)
    chosen = [hash(tuple(map(int, sampler.indices)))] if isinstance(sampler, SubsetRandomSampler) else []
    while isinstance(dataset, Subset):
        chosen.append(hash(tuple(map(int, dataset.indices))))
        dataset = dataset.dataset
    tensors = dataset.tensors if isinstance(dataset, TensorDataset) else ()
    digests = [_digest(one) for one in tensors]
    return loader.num_samples, _length(loader.batches), chosen, digests


def _length(batches: Any) -> int | None:
    """The number of batches; None if it is unknown, as for a DataLoader of an `IterableDataset` without a length."""
    try:
        return len(batches)
    except TypeError:
        return None


def _digest(tensor: Tensor) -> int:
    """A checksum of at most 64 samples of a tensor."""
    rows = tensor[torch.linspace(0, len(tensor) - 1, min(len(tensor), 64)).long().to(tensor.device)]
    return zlib.crc32(rows.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())


def _positioned(loader: Any, part: str, engine: Engine) -> Any:
    made, here = (getattr(loader, "rank", 0), getattr(loader, "world_size", 1)), (engine.rank, engine.world_size)
    if engine.world_size > 1 and isinstance(loader, Loader):
        devices = [(one.type, one.index or 0) for one in (loader.device, engine.device)]
        if devices[0] != devices[1]:
            raise InputError(
                f"loaders[{part!r}] creates its batches on {loader.device}, this process trains on {engine.device}; "
                "pass "
                "that device to create_loader, or the options of the data to clif.train.fit instead of a loader"
            )
        if made == (0, 1):
            loader = copy.copy(loader)
            loader.rank, loader.world_size = made = here
    if made != here:
        raise InputError(
            f"loaders[{part!r}] was made for rank {made[0]} of {made[1]} processes, but this is rank {here[0]} of "
            f"{here[1]}; leave rank and world_size out"
        )
    return loader


def _sampler(loader: Any) -> Any:
    """The sampler of a DataLoader, which chooses the order of its samples; None for other loaders."""
    if not isinstance(loader, DataLoader):
        return None
    return getattr(loader.batch_sampler, "sampler", loader.sampler)


def _check_split(sampler: DistributedSampler[Any], part: str, engine: Engine) -> None:
    """Raise `InputError` unless a sampler gives this process only its part."""
    made, here = (sampler.rank, sampler.num_replicas), (engine.rank, engine.world_size)
    if made != here:
        raise InputError(
            f"the DistributedSampler of loaders[{part!r}] is for rank {made[0]} of {made[1]} processes, but this is "
            f"rank {here[0]} of {here[1]}; leave the sampler out: each process then takes its part of every batch"
        )
    samples = len(sampler.dataset)  # type: ignore[arg-type]
    if part != "train" and len(sampler) * sampler.num_replicas != samples:
        raise InputError(
            f"the DistributedSampler of loaders[{part!r}] makes {len(sampler) * sampler.num_replicas} samples of "
            f"{samples}, so some would count twice or not at all; without it each sample counts once"
        )


def _not_divisible(loader: Any) -> str:
    """Why the batches of a loader cannot be divided among processes; "" if they can be."""
    if not isinstance(loader, DataLoader):
        return f"clif does not know which samples of a {type(loader).__name__} the other processes get"
    if type(loader).__iter__ is not DataLoader.__iter__:
        return f"{type(loader).__name__} creates its own batches, which cannot be divided"
    if isinstance(loader.dataset, IterableDataset):
        return f"{type(loader.dataset).__name__} is an IterableDataset, which may give every process all samples"
    sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    if type(loader.batch_sampler) is not BatchSampler:
        return f"of {type(sampler).__name__}, which makes its batches, it is not known whether they are those of all"
    if type(_sampler(loader)) not in WHOLE:
        return f"of its sampler {type(_sampler(loader)).__name__} it is not known whether it gives all samples"
    return ""


class Batches:
    """Any iterable of (x, y) with a length as a training loader: every epoch is one pass over it, from its start.

    x is [N, …] or [T, N, …], y int64 [N] or soft labels [N, classes]; both are moved to the device. If a
    `DistributedSampler` gives each of `world_size` processes its part, these are the batches of this process.
    """

    def __init__(self, batches: Iterable[Any], part: str, device: torch.device, world_size: int = 1) -> None:
        self.batches = batches
        self.part = part
        self.device = device
        self.world_size = world_size
        if not isinstance(batches, Iterable):
            raise InputError(f"loaders[{part!r}] must be an iterable of (x, y), got {type(batches).__name__}")
        if isinstance(batches, Iterator):
            raise InputError(f"loaders[{part!r}] yields its batches only once; pass a list or a DataLoader")
        length = _length(batches)
        if part == "train" and length is None:
            raise InputError(
                "loaders['train'] needs a length, the number of its batches: define __len__, for a DataLoader that of "
                "its data set"
            )
        if length == 0:
            raise InputError(f"loaders[{part!r}] is empty")

    @property
    def num_samples(self) -> int:
        """The number of samples of an epoch, 0 if it is unknown."""
        dataset = getattr(self.batches, "dataset", None)
        return len(dataset) if isinstance(dataset, Sized) else 0

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self._moved, self.batches)

    def shares(self, epoch: int, start: int = 0) -> Iterator[Share]:
        """This process's parts of the batches of an epoch."""
        assert start == 0
        if isinstance(sampler := _sampler(self.batches), DistributedSampler):
            sampler.set_epoch(epoch)
        for x, y in self:
            yield Share(x, y, None, len(y) * self.world_size)
        self._fail_short(epoch)

    def _fail_short(self, epoch: int) -> NoReturn:
        raise InputError(f"loaders['train'] has the length {len(self)} but gave fewer batches in epoch {epoch + 1}")

    def position(self, epoch: int, batch: int) -> dict[str, int]:
        """The values that a checkpoint keeps."""
        return {"epoch": epoch, "batch": batch}

    def check_position(self, position: dict[str, int], where: str) -> None:
        """Raise `InputError` for a position within an epoch, where this loader cannot begin."""
        if position["batch"]:
            raise InputError(
                f"{where}: was written within an epoch, where this training loader cannot start, and "
                f"{kept_name(position['epoch'], 0)}, the checkpoint of the last complete epoch, is not beside it; put "
                "it there, or start the run again without resume"
            )

    def _moved(self, batch: Any) -> tuple[Tensor, Tensor]:
        pair = pair_of(batch, f"loaders[{self.part!r}]")
        x, y = (one.to(self.device, non_blocking=True) for one in pair)
        if y.dim() != (2 if y.is_floating_point() else 1) or len(y) == 0 or len(y) not in x.shape[:2]:
            raise InputError(
                f"loaders[{self.part!r}] must give x [N, …] or [T, N, …] with y int64 [N] or soft labels [N, classes], "
                f"got x {list(x.shape)} and y {y.dtype} {list(y.shape)}"
            )
        return x, y if y.is_floating_point() else y.long()


class Parts(Batches):
    """This process's consecutive part of every batch that a DataLoader makes; only that part is read.

    The first process draws the order like the loader itself and sends it to the others. Workers of different processes
    have different seeds.
    """

    def __init__(self, loader: DataLoader[Any], part: str, engine: Engine) -> None:
        super().__init__(loader, part, engine.device)
        self._loader = loader
        self._engine = engine
        self._dealt: list[list[Any]] = []
        self._generator = torch.Generator()
        self._own: DataLoader[Any] = DataLoader(
            loader.dataset,
            batch_sampler=self._dealt,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=self._generator,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The parts that are not empty."""
        parts = [part for batch in self._order() if (part := self._part_of(batch))]
        return self._read(parts)

    def shares(self, epoch: int, start: int = 0) -> Iterator[Share]:
        """This process's parts of the batches of an epoch; an empty one comes with a sample in x and no label."""
        assert start == 0
        order = self._order()
        parts = [self._part_of(batch) for batch in order]
        read = self._read([part or batch[:1] for part, batch in zip(parts, order, strict=True)])
        for batch, part, (x, y) in zip(order, parts, read, strict=True):
            yield Share(x, y if part else y[:0], None, len(batch))
        self._fail_short(epoch)

    def _order(self) -> list[list[Any]]:
        """The indices of a pass, batch by batch, the same in every process."""
        loader, order = self._loader, None
        drawn = torch.empty((), dtype=torch.int64).random_(generator=loader.generator)  # as DataLoader.__iter__ does
        self._generator.manual_seed((int(drawn) + self._engine.rank) % 2**63)
        is_known = type(_sampler(loader)) is SequentialSampler
        if is_known or self._engine.is_first:
            assert loader.batch_sampler is not None
            order = [list(batch) for batch in itertools.islice(loader.batch_sampler, len(loader))]
        told: list[list[Any]] | None = order if is_known else self._engine.tell(order)
        assert told is not None
        return told

    def _part_of(self, batch: list[Any]) -> list[Any]:
        return batch[part_of_batch(len(batch), self._engine.rank, self._engine.world_size)]

    def _read(self, parts: list[list[Any]]) -> Iterator[tuple[Tensor, Tensor]]:
        self._dealt[:] = parts
        for part, (x, y) in zip(parts, map(self._moved, self._own), strict=True):
            if len(y) != len(part):
                raise InputError(
                    f"loaders[{self.part!r}] makes {len(y)} labels of {len(part)} samples, which several processes "
                    "cannot count; leave that to the data set, or leave out the other processes"
                )
            yield x, y
