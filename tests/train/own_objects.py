"""A small network, its loaders and the other objects that a user passes to `fit`."""

import pytest
import torch
from runs import StopAfter, assert_same_run
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import clif
import clif.train.loop as loop
from clif import layers
from clif.train import fit
from clif.train.interrupt import Interrupted

N, FEATURES, CLASSES, T = 20, 6, 3, 3


class Net(nn.Module):
    """[N, features] -> logits [T, N, classes]."""

    def __init__(self, T=T):
        super().__init__()
        self.T = T
        self.layers = nn.Sequential(
            layers.Linear(FEATURES, 8),
            layers.BatchNorm1d(8),
            clif.CLIFNode(),
            layers.Dropout(0.2),
            layers.Linear(8, CLASSES),
        )
        clif.set_step_mode(self, "m")

    def forward(self, x):
        return self.layers(x.expand(self.T, *x.shape))


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(N) % CLASSES
    return TensorDataset(torch.randn(N, FEATURES, generator=generator) + y[:, None], y)


def made(**changed):
    """A network, loaders, an optimiser and a schedule, created for each run."""
    torch.manual_seed(1)
    net = Net()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01)
    objects = {
        "net": net,
        "loaders": {"train": DataLoader(data(), 6, shuffle=True), "test": DataLoader(data(1), 8)},
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        "loss": nn_loss,
    }
    return {**objects, **changed}


def nn_loss(logits, labels):
    return nn.functional.cross_entropy(logits.mean(0), labels)


def assert_resumes(config, tmp_path, monkeypatch, checks, objects, **options):
    """A run with the objects that `objects` makes is stopped after some checks and ends like an uninterrupted one."""
    whole = fit(config(**options, out_dir=str(tmp_path / "whole")), quiet=True, **objects())
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(checks))
        with pytest.raises(Interrupted):
            fit(config(**options), quiet=True, **objects())
    resumed = fit(config(**options, resume="auto"), quiet=True, **objects())
    assert_same_run(resumed.folder, whole.folder)


class Weighted(nn.Module):
    """A loss that learns a weight for each class and counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(CLASSES))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, logits, labels):
        self.calls += 1
        return nn_loss(logits * self.weight, labels) + 0.01 * self.calls
