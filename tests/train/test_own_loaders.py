"""The loaders that a user passes to `fit`, in one process."""

import pytest
from own_objects import made
from torch.utils.data import DataLoader, IterableDataset

from clif.errors import InputError
from clif.train import fit


class Stream(IterableDataset):
    """The samples of a data set in order, without a length."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return iter(self.dataset)


class CountedStream(Stream):
    def __len__(self):
        return len(self.dataset)


def test_an_evaluation_takes_a_stream_without_a_length(config):
    loaders = made()["loaders"]
    streams = {part: DataLoader(Stream(loaders["test"].dataset), 8) for part in ("test", "val")}
    streams["train"] = DataLoader(CountedStream(loaders["train"].dataset), 6)
    row = fit(config(epochs=1), quiet=True, **made(loaders=streams)).history[0]
    assert row["val_top1"] == row["test_top1"] > 0


def test_a_training_needs_a_length(config):
    loaders = {"train": DataLoader(Stream(made()["loaders"]["train"].dataset), 6)}
    with pytest.raises(
        InputError, match=r"loaders\['train'\] needs a length, .* for a DataLoader that of its data set"
    ):
        fit(config(), quiet=True, **made(loaders=loaders))
