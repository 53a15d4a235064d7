"""Data sets by name, as batches that are ready on the device: `create_loader("digits")`."""

from clif.data import events
from clif.data.augment import Augmentation
from clif.data.base import Arrays, Dataset
from clif.data.loader import DATASETS, Loader, create_loader, get_dataset

__all__ = ["DATASETS", "Arrays", "Augmentation", "Dataset", "Loader", "create_loader", "events", "get_dataset"]
