"""Shared parts of the tests of runs: comparisons, interruptions, and start states."""

import csv
import signal

import numpy as np
import torch
from torch.testing import assert_close

from clif.models import create_model
from clif.train.checkpoint import read_checkpoint

LAST, BEST = "checkpoint_last.pth", "checkpoint_best.pth"


class StopAfter:
    """A `StopRequest` whose signal comes at the loop's n-th check."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def signum(self):
        self.left -= 1
        return signal.SIGTERM if self.left <= 0 else None


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(history):
    """The figures of every epoch without the times, which differ between runs."""
    return [{k: float(v) for k, v in row.items() if not k.endswith(("seconds", "_second"))} for row in history]


def state(folder, name=LAST):
    content = read_checkpoint(folder / name)
    return {key: content[key] for key in ("net", "optimizer", "lr_scheduler", "epoch", "max_test_acc")}


def assert_same_run(folder, other):
    ours, theirs = state(folder), state(other)
    assert ours.pop("lr_scheduler") == theirs.pop("lr_scheduler")
    assert_close(ours, theirs, rtol=0, atol=0)
    assert numbers(rows(folder)) == numbers(rows(other))


def original_checkpoint(config, path, **changed):
    """A checkpoint in the original's form after its fifth epoch."""
    torch.manual_seed(7)
    net = create_model(config.model, config.neuron, T=config.T)
    optimizer = torch.optim.SGD(net.parameters(), lr=config.lr, momentum=0.9, weight_decay=config.weight_decay)
    net(torch.randn(2, 3, 32, 32)).square().sum().backward()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.T_max)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    content = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict()}
    content |= {"epoch": 4, "max_test_acc": np.float64(0.01), **changed}
    torch.save({key: value for key, value in content.items() if value is not ...}, path)
    return content
