"""The loaders that a user passes to `fit`, in one process."""

import os
import signal

import pytest
import torch
from own_objects import N, assert_resumes, data, made
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, WeightedRandomSampler

from clif.data import create_loader
from clif.errors import InputError
from clif.train import fit
from clif.train.interrupt import Interrupted


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


@pytest.mark.parametrize(
    "train",
    [
        lambda g: DataLoader(data(), 6, shuffle=True, generator=g),
        lambda g: DataLoader(data(), 6, sampler=WeightedRandomSampler(torch.ones(N), N, generator=g)),
        lambda g: DataLoader(
            data(), batch_sampler=torch.utils.data.BatchSampler(RandomSampler(data(), generator=g), 6, False)
        ),
    ],
)
def test_a_loader_with_a_generator_resumes_to_the_same_bits(config, tmp_path, monkeypatch, train):
    def objects():
        generator = torch.Generator().manual_seed(3)
        return made(loaders={"train": train(generator), "test": DataLoader(data(1), 8, generator=generator)})

    assert_resumes(config, tmp_path, monkeypatch, 12, objects, epochs=4)


class Poisson(nn.Module):
    """Draws random numbers in every call, also in an evaluation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x):
        return self.layer((x * (torch.rand_like(x) < 0.5)).flatten(1))


def test_a_run_stopped_in_an_evaluation_repeats_its_random_numbers(config, tmp_path, monkeypatch, tiny_cifar10):
    def objects():
        loaders = {name: create_loader("cifar10", tiny_cifar10, name == "train", 25) for name in ("train", "test")}
        return {"net": Poisson(), "loaders": {**loaders, "test": list(loaders["test"]) * 2}}

    assert_resumes(config, tmp_path, monkeypatch, 4, objects, epochs=2, lr=0.5)


class Ended(list):
    """A list whose iteration ends like a DataLoader if a signal reaches it and its workers."""

    def __iter__(self):
        yield self[0]
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid(s) 17) exited unexpectedly")


@pytest.mark.parametrize(
    ("part", "where"), [("train", "epoch 1, step 1 of 3, which starts again"), ("test", "epoch 1, step 1 of 1, which")]
)
def test_a_signal_that_also_ends_the_workers_stops_the_run(config, part, where):
    batches = [data().tensors]
    loaders = {"train": batches, "test": batches, part: Ended(batches * (3 if part == "train" else 1))}
    with pytest.raises(Interrupted, match=f"stopped in {where}"):
        fit(config(), quiet=True, **made(loaders=loaders))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
