"""The cache of a split: its samples and labels as memory-mapped arrays, converted once.

A cache is a folder with images.npy, labels.npy and meta.json, which has the mean and standard deviation of images too.
Its name has a digest of the version, the parameters and every source file's path, size and time, so a change of any of
them makes another cache. It is written under a temporary name and renamed when it is complete, so an interrupted
conversion leaves no cache.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clif.data.base import Arrays, Source, Split
from clif.data.statistics import channel_statistics
from clif.data.untrusted import load_array
from clif.errors import InputError
from clif.paths import expand_home
from clif.progress import progress_bar

VERSION = 2
FOLDER = ".clif-cache"
PARTIAL = ".partial-"
DAY = 86_400
ROWS = 256
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Damage:
    """A file that could not be read, and why."""

    path: Path
    reason: str


def load_split(split: Split, *, skip_damaged: bool = False, quiet: bool = True) -> Arrays:
    """The samples of a split from its cache, which is made first if there is none.

    Raises `InputError` for the first damaged file; `skip_damaged` leaves damaged files out, now and from this cache on.
    """
    name = cache_name(split)
    for folder in cache_folders(split.root):
        if (arrays := open_cache(folder / name, split)) is not None:
            return arrays
    size = sum(len(source.labels) for source in split.sources) * sample_bytes(split)
    folder = writable_folder(split.root, size)
    build_cache(folder / name, split, skip_damaged, quiet)
    arrays = open_cache(folder / name, split)
    assert arrays is not None
    return arrays


def cache_folders(root: Path) -> list[Path]:
    """The folders of caches: in the data set's folder, or in the user's cache folder if that one is not writable."""
    folders = [root / FOLDER]
    with contextlib.suppress(InputError):  # a user may have no home folder
        folders.append(Path(os.environ.get("XDG_CACHE_HOME") or expand_home("~/.cache"), "clif"))
    return folders


def cache_name(split: Split) -> str:
    digest = hashlib.sha256(
        repr((VERSION, split.root.resolve(), split.name, split.parameters, split.shape, split.dtype)).encode()
    )
    for source, place in zip(split.sources, source_places(split), strict=True):
        try:
            status = source.path.stat()
            state = (place, status.st_size, status.st_mtime_ns, source.labels)
        except OSError as error:  # such as a link to no file, which is a damaged file
            state = (place, error.errno or 0, 0, source.labels)
        digest.update(repr(state).encode())
    return f"{split.name}-{split.parameters}-{digest.hexdigest()[:16]}"


def source_places(split: Split) -> Iterator[str]:
    """The whole path of each source file, the same for every spelling of the folder's path."""
    root, given = split.root.resolve(), os.path.join(os.path.abspath(split.root), "")
    for source in split.sources:
        path = os.path.abspath(source.path)
        yield os.path.join(root, path[len(given) :]) if path.startswith(given) else path


def sample_bytes(split: Split) -> int:
    return int(np.prod(split.shape)) * np.dtype(split.dtype).itemsize


def open_cache(folder: Path, split: Split) -> Arrays | None:
    """A complete cache as arrays mapped from disk, or None."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        samples, mean, std = meta["samples"], tuple(meta.get("mean", ())), tuple(meta.get("std", ()))
        images = np.lib.format.open_memmap(folder / "images.npy", mode="c")
        labels = load_array(folder / "labels.npy")
        shape = (samples, *split.shape)
        fits = images.shape == shape and images.dtype == split.dtype and labels.shape == shape[:1]
        classes = {label for source in split.sources for label in source.labels}
        known = set(np.unique(labels).tolist()) <= classes and np.isfinite([*mean, *std]).all()
    except Exception:  # damaged content can raise anything
        return None
    return Arrays(images, labels.astype(np.int64), mean, std) if fits and known else None


def skipped_files(split: Split) -> list[str]:
    """The damaged files that a cache of this split leaves out."""
    for folder in cache_folders(split.root):
        with contextlib.suppress(Exception):
            return list(json.loads((folder / cache_name(split) / "meta.json").read_text())["skipped"])
    return []


def writable_folder(root: Path, size: int) -> Path:
    """The first of the cache folders that can be written and has `size` bytes free."""
    reasons = []
    for folder in cache_folders(root):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            free = shutil.disk_usage(folder).free
        except OSError as error:
            reasons.append(f"{folder} cannot be written ({error.strerror})")
            continue
        if free > 1.05 * size:
            return folder
        reasons.append(f"{folder} has {free / 2**30:.1f} GiB free")
    raise InputError(
        f"no folder can take the cache of {size / 2**30:.1f} GiB: {'; '.join(reasons)}; "
        "free some space, or name a folder by XDG_CACHE_HOME"
    )


def build_cache(target: Path, split: Split, skip_damaged: bool, quiet: bool) -> None:
    """Convert every source on all cores and put the result at `target` in one step."""
    remove_leftovers(target.parent)
    building = target.parent / f"{PARTIAL}{split.name}-{uuid.uuid4().hex}"
    try:
        building.mkdir()
        samples, skipped = write_arrays(building, split, skip_damaged, quiet)
        meta: dict[str, Any] = {
            "version": VERSION,
            "name": split.name,
            "parameters": split.parameters,
            "samples": samples,
            "root": str(split.root.resolve()),
        }
        if split.dtype == "uint8" and len(split.shape) == 3:
            images = np.load(building / "images.npy", mmap_mode="r")
            meta["mean"], meta["std"] = channel_statistics(images)
        meta["skipped"] = [f"{damage.path}: {damage.reason}" for damage in skipped]
        (building / "meta.json").write_text(json.dumps(meta, indent=2))
        publish(building, target, split)
    except OSError as error:
        raise InputError(f"the cache {target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    remove_stale(target, split)


def publish(building: Path, target: Path, split: Split) -> None:
    """Give a complete cache its name; a cache that another process has completed meanwhile stays."""
    try:
        building.rename(target)
    except OSError:
        if open_cache(target, split) is None:
            shutil.rmtree(target, ignore_errors=True)
            building.rename(target)


def write_arrays(folder: Path, split: Split, skip_damaged: bool, quiet: bool) -> tuple[int, list[Damage]]:
    """Write images.npy and labels.npy; returns the number of their samples and the files that were left out."""
    starts = np.cumsum([0, *(len(source.labels) for source in split.sources)])
    labels = np.array([label for source in split.sources for label in source.labels], dtype=np.int64)
    images = new_array(folder / "images.npy", np.dtype(split.dtype), (len(labels), *split.shape))
    good = np.ones(len(labels), dtype=bool)
    skipped: list[Damage] = []
    for index, result in convert_all(split, f"preparing {split.name}", quiet):
        rows = slice(starts[index], starts[index + 1])
        if isinstance(result, InputError):
            if not skip_damaged:
                name = split.name.split("-")[0]
                raise InputError(f"{result} (clif data prepare {name} --skip-damaged leaves it out)") from result
            good[rows] = False
            skipped.append(Damage(split.sources[index].path, str(result)))
        else:
            images[rows] = result
    images.flush()
    if not good.any():
        raise InputError(f"every file of {split.name} in {split.root} is damaged, the first: {skipped[0].reason}")
    if skipped:
        copy_rows(images, good, folder / "good.npy")
        (folder / "good.npy").replace(folder / "images.npy")
    np.save(folder / "labels.npy", labels[good])
    return int(good.sum()), skipped


def new_array(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy file, mapped from disk. Raises `OSError` if the disk is full.

    Its space is reserved, because a write to the map for which there is no space would end the process.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if sys.platform == "linux":
        with path.open("rb+") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno in NO_SPACE:
                    raise
    return array


def copy_rows(images: np.ndarray, chosen: np.ndarray, path: Path) -> None:
    """Write the chosen rows to a file, piece by piece, so that they need no additional memory."""
    index = np.flatnonzero(chosen)
    kept = new_array(path, images.dtype, (len(index), *images.shape[1:]))
    for start in range(0, len(index), ROWS):
        kept[start : start + ROWS] = images[index[start : start + ROWS]]
    kept.flush()


def convert_all(split: Split, title: str, quiet: bool) -> Iterator[tuple[int, np.ndarray | InputError]]:
    """(index, samples or error) of each source when it is ready; numpy and Pillow let threads use all cores."""
    sources = split.sources

    def load(index: int) -> tuple[int, np.ndarray | InputError]:
        try:
            return index, load_samples(sources[index], split)
        except InputError as error:
            return index, error

    workers = os.cpu_count() or 1
    pending = iter(range(len(sources)))
    bar = progress_bar(len(sources), title, quiet, unit="file")
    with bar, ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(load, index) for _, index in zip(range(4 * workers), pending, strict=False)}
        try:
            while running:
                done = next(as_completed(running))
                running.remove(done)
                if (index := next(pending, None)) is not None:
                    running.add(pool.submit(load, index))
                bar.update()
                yield done.result()
        finally:
            for future in running:
                future.cancel()


def load_samples(source: Source, split: Split) -> np.ndarray:
    """The samples of a source. Raises `InputError` if they do not fit the split."""
    samples = source.load()
    shape = (len(source.labels), *split.shape)
    if not isinstance(samples, np.ndarray) or samples.dtype != split.dtype or samples.shape != shape:
        given = f"{samples.dtype} {list(samples.shape)}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputError(
            f"{source.path}: its samples are {given}; those of {split.name} must be {split.dtype} {list(shape)}"
        )
    return samples


def remove_stale(target: Path, split: Split) -> None:
    """Delete the caches of this split that were made from earlier files."""
    for folder in target.parent.glob(f"{split.name}-{split.parameters}-*"):
        with contextlib.suppress(Exception):
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            same = (meta["root"], meta["parameters"]) == (str(split.root.resolve()), split.parameters)
            if folder != target and same:
                shutil.rmtree(folder)


def remove_leftovers(folder: Path) -> None:
    """Delete the files of conversions that were killed more than a day ago."""
    for path in folder.glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError):  # another process may have just renamed it
            if path.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(path, ignore_errors=True)
