"""Small but complete sets in their publishers' layouts; each writer returns the sizes of the training and test set."""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from writers import aedat2, aedat3, make_events, nmnist

from clif.data.cifar import CIFAR10


def write_cifar10(root: Path) -> list[int]:
    root.mkdir(parents=True, exist_ok=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        content = {b"data": np.zeros((10, 3072), np.uint8), b"labels": list(range(10))}
        (root / name).write_bytes(pickle.dumps(content, protocol=2))
    return [50, 10]


def write_cifar100(root: Path) -> list[int]:
    root.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        content = {b"data": np.zeros((100, 3072), np.uint8), b"fine_labels": list(range(100))}
        (root / name).write_bytes(pickle.dumps(content, protocol=2))
    return [100, 100]


def write_tiny(root: Path, wnids: tuple[str, ...] = ("n01", "n02", "n03")) -> list[int]:
    """One training and two validation images per class."""
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    image, rows = Image.new("RGB", (64, 64)), []
    for i, wnid in enumerate(wnids):
        (root / "train" / wnid / "images").mkdir(parents=True)
        image.save(root / "train" / wnid / "images" / f"{wnid}_0.JPEG")
        for k in (2 * i, 2 * i + 1):
            image.save(root / "val" / "images" / f"val_{k}.JPEG")
            rows.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    return [len(wnids), 2 * len(wnids)]


def write_cifar10dvs(root: Path) -> list[int]:
    for name in CIFAR10.classes:
        (root / name).mkdir(parents=True)
        for number in (0, 1, 900):
            (root / name / f"cifar10_{name}_{number}.aedat").write_bytes(aedat2(make_events(20, seed=number)))
    return [20, 10]


def write_nmnist(root: Path) -> list[int]:
    for part in ("Train", "Test"):
        for digit in range(10):
            folder = root / part / str(digit)
            folder.mkdir(parents=True)
            (folder / f"{digit:05d}.bin").write_bytes(nmnist(make_events(20, 34, seed=digit)))
    return [10, 10]


def write_gesture(root: Path, end: str = "\n", mark: bytes = b"", separator: str = ",") -> list[int]:
    """Users 1 and 2 are for training, user 24 for tests; eleven gestures each."""
    root.mkdir(parents=True, exist_ok=True)
    table = [("class", "startTime_usec", "endTime_usec")]
    table += [(str(label), str(25_000 * label), str(25_000 * label + 25_000)) for label in range(1, 12)]
    for number, events in ((1, make_events(1_100, seed=1)), (2, make_events(1_100, seed=2)), (24, make_events(1_100))):
        name = f"user{number:02d}_led"
        (root / f"{name}.aedat").write_bytes(aedat3(events))
        rows = "".join(separator.join(row) + end for row in table)
        (root / f"{name}_labels.csv").write_bytes(mark + rows.encode())
    for part, users in (("train", ("user01_led", "user02_led")), ("test", ("user24_led",))):
        names = end.join(f"{user}.aedat" for user in users)
        (root / f"trials_to_{part}.txt").write_bytes(mark + names.encode())
    return [22, 11]


WRITERS = {
    "cifar10": ("cifar-10-batches-py", write_cifar10),
    "cifar100": ("cifar-100-python", write_cifar100),
    "tiny_imagenet": ("tiny-imagenet-200", write_tiny),
    "cifar10dvs": ("CIFAR10DVS", write_cifar10dvs),
    "nmnist": ("NMNIST", write_nmnist),
    "dvs_gesture": ("DvsGesture", write_gesture),
}
