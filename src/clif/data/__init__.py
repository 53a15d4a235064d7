"""Data sets by name, as batches that are ready on the device: `create_loader("digits")`."""

from clif.data import events
from clif.data.any_recording import read_recording
from clif.data.augment import Augmentation
from clif.data.base import Arrays, Dataset, Source, Split
from clif.data.loader import Loader, create_loader
from clif.data.registry import DATASETS, get_dataset, open_dataset, register_dataset
from clif.data_options import DataOptions

__all__ = [
    "DATASETS",
    "Arrays",
    "Augmentation",
    "DataOptions",
    "Dataset",
    "Loader",
    "Source",
    "Split",
    "create_loader",
    "events",
    "get_dataset",
    "open_dataset",
    "read_recording",
    "register_dataset",
]
