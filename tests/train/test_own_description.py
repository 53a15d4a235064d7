"""Descriptions of the user's objects, and the runs that they tell apart."""

import copy
import enum
import functools
import json

import numpy as np
import pytest
import torch
from own_objects import CLASSES, FEATURES, Net, T, data, made
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader

import clif
from clif.errors import InputError
from clif.loss import SpikingLoss
from clif.train import fit
from clif.train.own_description import (
    describe_loader,
    describe_loss,
    describe_net,
    describe_optimizer,
    describe_schedule,
)


def net_of(node, width=8):
    torch.manual_seed(1)
    layers = nn.Sequential(nn.Linear(FEATURES, width), node, nn.Dropout(0.1), nn.Linear(width, CLASSES))
    return clif.wrap(layers, T=T)


def objects(node=None, rate=0.1, **changed):
    net = net_of(node or clif.CLIFNode())
    loaders = {"train": DataLoader(data(), 6), "test": DataLoader(data(1), 8)}
    return {"net": net, "loaders": loaders, "optimizer": SGD(net.parameters(), rate), **changed}


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "clif.train"]


@pytest.mark.parametrize(
    "other",
    [
        lambda: objects(clif.LIFNode()),
        lambda: objects(clif.CLIFNode(v_threshold=0.5)),
        lambda: objects(clif.CLIFNode(surrogate_function=clif.surrogate.Rectangle(2.0))),
        lambda: objects(rate=0.01),
        lambda: objects(loss=SpikingLoss(0.5)),
        lambda: objects(loaders={"train": DataLoader(data(), 10), "test": DataLoader(data(1), 8)}),
    ],
)
def test_resume_auto_takes_other_objects_for_another_run(config, other):
    first = fit(config(epochs=1, resume="auto"), quiet=True, **objects())
    second = fit(config(epochs=1, resume="auto"), quiet=True, **other())
    assert second.folder != first.folder
    assert second.history[0]["train_loss"] != first.history[0]["train_loss"]
    again = fit(config(epochs=1, resume="auto"), quiet=True, **objects())
    assert (again.folder, again.history) == (first.folder, first.history)


def test_objects_that_trained_have_the_description_of_new_ones(config):
    same = objects()
    first = fit(config(epochs=1, resume="auto"), quiet=True, **same)
    assert len(fit(config(epochs=2, resume="auto"), quiet=True, **same).history) == 2
    assert fit(config(epochs=3, resume="auto"), quiet=True, **objects()).folder == first.folder


def test_a_new_run_beside_another_names_the_objects_that_differ(config, caplog):
    first = fit(config(epochs=1, resume="auto"), quiet=True, **objects())
    caplog.clear()
    fit(config(epochs=1, resume="auto"), quiet=True, **objects(clif.LIFNode()))
    assert f'the run in {first.folder} differs in net=: resume="{first.folder}" with the same objects' in caplog.text


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: objects(clif.LIFNode()), r"another network, whose net\.net\.1 is CLIFNode\(.* instead of LIFNode\("),
        (lambda: objects(net=Net()), r"another network, whose net is Wrapped\("),
    ],
)
def test_a_run_does_not_resume_with_another_network(config, other, message):
    folder = fit(config(epochs=1), quiet=True, **objects()).folder
    given = other()
    given["optimizer"] = SGD(given["net"].parameters(), 0.1)
    with pytest.raises(InputError, match=message):
        fit(config(epochs=2, resume=str(folder)), quiet=True, **given)


def test_a_constant_of_the_network_may_change_when_it_resumes(config, caplog):
    folder = fit(config(epochs=1), quiet=True, **objects()).folder
    result = fit(config(epochs=2, resume=str(folder)), quiet=True, folder=folder, **objects(clif.CLIFNode(tau=3.0)))
    assert len(result.history) == 2
    assert "the run continues with net.net.1 CLIFNode(" in caplog.text


def test_a_rate_and_a_decay_of_one_s_own_apply_from_the_resumed_epoch_on(config, caplog):
    folder = fit(config(epochs=1), quiet=True, **objects()).folder
    changed = objects()
    changed["optimizer"] = SGD(changed["net"].parameters(), 0.01, weight_decay=0.5)
    options = {"lr_scheduler": "StepLR", "out_dir": str(folder.parent), "resume": str(folder)}
    result = fit(config(epochs=2, **options), quiet=True, folder=folder, **changed)
    assert [row["lr"] for row in result.history] == [0.1, 0.01]
    assert (
        "optimizer= SGD(lr 0.01, dampening 0, maximize False, momentum 0, nesterov False, weight_decay" in caplog.text
    )
    changed["optimizer"] = Adam(changed["net"].parameters(), 0.01)
    with pytest.raises(InputError, match="its run has optimizer= SGD, which cannot become Adam when it resumes"):
        fit(config(epochs=3, **options), quiet=True, folder=folder, **changed)


def test_a_folder_of_an_earlier_version_is_resumed_by_the_objects_of_its_run(config):
    former = config(epochs=1, T=T).run_folder(model="Wrapped", neuron="", dataset="own")
    fit(config(epochs=1), quiet=True, **objects()).folder.rename(former)
    starts = json.loads((former / "environment.json").read_text())
    (former / "environment.json").write_text(json.dumps([{**start, "objects": None} for start in starts]))
    for epochs in (2, 3):
        resumed = fit(config(epochs=epochs, resume="auto"), quiet=True, **objects())
        assert (resumed.folder, len(resumed.history)) == (former, epochs)
    assert fit(config(epochs=1, resume="auto"), quiet=True, **objects(clif.LIFNode())).folder != former


def test_lines_say_that_a_run_is_renamed_and_that_nothing_is_left_to_train(config, caplog):
    folder = fit(config(epochs=1), quiet=True, **objects()).folder
    assert said(caplog) == []
    fit(config(epochs=1), quiet=True, **objects())
    assert said(caplog) == [f"the earlier run in {folder} is now {folder}.1"]
    caplog.clear()
    fit(config(epochs=1, resume="auto"), quiet=True, **objects())
    assert said(caplog) == [f"{folder}: nothing is left to train, because all epochs are done"]


def test_descriptions_hold_constants_and_no_addresses():
    class Scaled(nn.Module):
        def __init__(self, gain, beta, activation):
            super().__init__()
            self._gain, self.activation = gain, activation
            self.register_buffer("beta", torch.tensor(beta))
            self.layer = nn.Linear(2, 3)

    modules = describe_net(Scaled(0.5, [0.9, 0.8], functools.partial(nn.functional.relu)))
    assert modules[""].endswith("Scaled(activation relu([], {}), beta [2] of 0.9, 0.8, gain 0.5)")
    assert modules["layer"] == "Linear(in_features 2, out_features 3, weight [3, 2], bias [3])"
    assert "surrogate_function Rectangle(alpha 1)" in describe_net(clif.CLIFNode())[""]
    assert describe_loss(nn.functional.relu) == "relu"
    assert describe_loss(SpikingLoss(0.25)) != describe_loss(SpikingLoss(0.5))


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: OneCycleLR(o, 0.1, total_steps=8),
        lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0),
        lambda o: ExponentialLR(o, 0.5),
    ],
)
def test_a_schedule_and_its_optimiser_have_one_description_wherever_they_are(schedule):
    weight = nn.Parameter(torch.ones(1))
    optimizer = SGD([weight], 0.1, momentum=0.9)
    scheduler = schedule(optimizer)
    before = describe_optimizer(optimizer, scheduler), describe_schedule(scheduler)
    for _ in range(3):
        optimizer.step()
        scheduler.step(*([1.0] if isinstance(scheduler, ReduceLROnPlateau) else []))
    assert (describe_optimizer(optimizer, scheduler), describe_schedule(scheduler)) == before


def test_the_objects_of_a_checkpoint_may_be_of_any_kind(config):
    from clif.train.checkpoint import read_checkpoint, save_checkpoint

    folder = fit(config(epochs=1), quiet=True, **made()).folder
    content = read_checkpoint(folder / "checkpoint_last.pth")
    save_checkpoint(folder / "checkpoint_last.pth", {**content, "objects": {"net": 3}})
    assert len(fit(config(epochs=2, resume=str(folder)), quiet=True, folder=folder, **made()).history) == 2


class Keeps(nn.Module):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept


def containing_itself(kind):
    values = kind()
    values.append(values) if kind is list else values.update(values=values)
    return values


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (torch.eye(3).to_sparse(), "Tensor([3, 3])"),
        (torch.ones(3, device="meta"), "Tensor([3])"),
        (10**309, str(10**309)),
        (containing_itself(list), "[[[[[[[...]]]]]]]"),
        (containing_itself(dict), "{values {values {values {values {values {values {values ...}}}}}}}"),
    ],
)
def test_values_that_cannot_be_read_have_a_description(kept, text):
    assert describe_net(Keeps(kept))[""] == f"Keeps(kept {text})"


class Kind(enum.Enum):
    FIRST = 1
    SECOND = 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Kind.FIRST, Kind.SECOND),
        (np.ones(3), np.zeros(3)),
        (np.float32(1.0), np.float32(2.0)),
        (torch.float32, torch.float64),
        (b"one", b"two"),
        ({1, 2}, {1, 3}),
    ],
)
def test_other_values_have_other_descriptions(one, other):
    first, again, second = (describe_net(Keeps(value))[""] for value in (one, copy.copy(one), other))
    assert first == again != second


def test_a_data_set_without_a_length_has_a_description():
    class Endless(torch.utils.data.Dataset):
        def __len__(self):
            raise NotImplementedError

    assert (
        describe_loader(DataLoader(Endless(), sampler=range(4), batch_size=2)) == "DataLoader(batch_size 2, batches 2)"
    )
