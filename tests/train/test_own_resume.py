"""Runs with the user's own objects: resuming."""

import pytest
import torch
from own_objects import FEATURES, Net, Weighted, assert_resumes, made
from runs import StopAfter, assert_same_run

import clif
import clif.train.loop as loop
from clif.data import create_loader
from clif.errors import InputError
from clif.train import fit
from clif.train.interrupt import Interrupted


@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "accumulate": 3, "clip_grad_norm": 1.0, "log_grad_norm": True}])
@pytest.mark.parametrize("checks", [2, 7, 9])
def test_a_run_resumes_from_its_last_whole_epoch_to_the_same_bits(config, tmp_path, monkeypatch, checks, more):
    values = {"epochs": 6, **more}
    whole = fit(config(**values, out_dir=str(tmp_path / "whole")), quiet=True, **made())
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(checks))
        with pytest.raises(Interrupted):
            fit(config(**values), quiet=True, **made())
    resumed = fit(config(**values, resume="auto"), quiet=True, **made())
    assert_same_run(resumed.folder, whole.folder)


def test_a_loader_that_can_begin_anywhere_resumes_there(config, tmp_path, monkeypatch, tiny_cifar10):
    def objects():
        torch.manual_seed(0)
        net = clif.models.create_model("snn5_noAP", "CLIF", T=2, drop_rate=0.2)
        return {"net": net, "loaders": {"train": create_loader("cifar10", tiny_cifar10, batch_size=20, seed=3)}}

    values = {"epochs": 2, "b": 7}
    whole = fit(config(**values, out_dir=str(tmp_path / "whole")), quiet=True, **objects())
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(3))
        with pytest.raises(Interrupted, match="step 2 of 3"):
            fit(config(**values), quiet=True, **objects())
    resumed = fit(config(**values, resume="auto"), quiet=True, **objects())
    assert_same_run(resumed.folder, whole.folder)
    assert clif.load(resumed.folder).T == 2
    assert "test_top1" not in resumed.history[-1]
    assert resumed.summary["best_chosen_on"] == ""


def test_the_loader_that_cannot_begin_within_an_epoch_is_told_of(config, capsys):
    fit(config(epochs=1), **made())
    assert "an interrupted run resumes from its last complete epoch" in capsys.readouterr().out


def test_a_run_resumes_with_the_same_objects_only(config):
    folder = fit(config(epochs=1), quiet=True, **made()).folder
    with pytest.raises(InputError, match=r"its run was given net=, loaders=, .*, but this one net=, loaders="):
        fit(config(epochs=2, resume=str(folder)), quiet=True, **made(loss=None))
    with pytest.raises(InputError, match="holds your own network, which only your code can create"):
        clif.load(folder)


@pytest.mark.parametrize(
    ("steps", "note"),
    [(3, "starting the run again"), (7, "resuming from checkpoint_epoch0001_step000000.pth")],
)
def test_a_run_that_a_limit_ended_within_an_epoch_resumes_from_a_whole_one(config, tmp_path, caplog, steps, note):
    whole = fit(config(epochs=3, out_dir=str(tmp_path / "whole")), quiet=True, **made())
    fit(config(epochs=3, max_steps=steps), quiet=True, **made())
    resumed = fit(config(epochs=3, resume="auto"), quiet=True, **made())
    assert f"was written within an epoch, where this training loader cannot start: {note}" in caplog.text
    assert_same_run(resumed.folder, whole.folder)


def test_a_run_that_keeps_one_checkpoint_keeps_that_of_the_last_whole_epoch_too(config, tmp_path):
    whole = fit(config(epochs=3, out_dir=str(tmp_path / "whole")), quiet=True, **made())
    for steps in (5, 6, 7):
        folder = fit(config(epochs=3, max_steps=steps, keep_last=1, resume="auto"), quiet=True, **made()).folder
        assert [path.name for path in folder.glob("checkpoint_epoch*")] == ["checkpoint_epoch0001_step000000.pth"]
    resumed = fit(config(epochs=3, keep_last=1, resume="auto"), quiet=True, **made())
    assert_same_run(resumed.folder, whole.folder)
    assert not list(folder.glob("checkpoint_epoch*"))


def test_a_place_within_an_epoch_is_no_start(config):
    folder = fit(config(epochs=3, max_steps=5), quiet=True, **made()).folder
    name = "checkpoint_epoch0001_step000000.pth"
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"written within an epoch, .* and {name}, .*, is not beside it; put it"):
        fit(config(epochs=3, resume=str(folder)), quiet=True, **made())


class Counting(torch.optim.SGD):
    """Counts its steps beside its options, as some optimisers of other packages do."""

    def __init__(self, params, **options):
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("count", 0)

    def step(self, closure=None):
        for group in self.param_groups:
            group["count"] += 1
        return super().step(closure)


def test_the_state_of_an_optimiser_beside_its_options_resumes(config):
    def objects(decay):
        net = Net()
        optimizer = Counting(net.parameters(), lr=0.01, weight_decay=decay)
        return made(net=net, optimizer=optimizer, scheduler=None)

    fit(config(epochs=1), quiet=True, **objects(0.1))
    again = objects(0.2)
    fit(config(epochs=3, resume="auto"), quiet=True, **again)
    (group,) = again["optimizer"].param_groups
    assert (group["count"], group["weight_decay"]) == (12, 0.2)


def test_a_momentum_that_the_schedule_cycles_resumes(config, tmp_path):
    def objects():
        torch.manual_seed(1)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)
        return made(net=net, optimizer=optimizer, scheduler=scheduler)

    whole = fit(config(epochs=2, out_dir=str(tmp_path / "whole")), quiet=True, **objects())
    fit(config(epochs=1), quiet=True, **objects())
    assert_same_run(fit(config(epochs=2, resume="auto"), quiet=True, **objects()).folder, whole.folder)


def test_a_loss_with_a_state_resumes_to_the_same_bits(config, tmp_path, monkeypatch):
    def objects():
        torch.manual_seed(1)
        net, loss = Net(), Weighted()
        optimizer = torch.optim.SGD([*net.parameters(), *loss.parameters()], lr=0.1)
        return made(net=net, loss=loss, optimizer=optimizer, scheduler=None)

    assert_resumes(config, tmp_path, monkeypatch, 12, objects, epochs=4)


@pytest.mark.parametrize("made_again", [False, True])
def test_objects_in_memory_resume_like_new_ones(config, tmp_path, made_again):
    def objects():
        torch.manual_seed(1)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 2)
        return made(net=net, optimizer=optimizer, scheduler=schedule)

    whole = fit(config(epochs=5, out_dir=str(tmp_path / "whole")), quiet=True, **objects())
    same = objects()
    start = fit(config(epochs=4), quiet=True, **same).folder / "checkpoint_epoch0003_step000000.pth"
    again = objects() if made_again else same
    result = fit(config(epochs=5, resume=str(start)), quiet=True, **again)
    assert [row["lr"] for row in result.history] == [row["lr"] for row in whole.history]


class Normed(Net):
    """Normalises the features before the layers."""

    def __init__(self):
        super().__init__()
        self.layers[1] = clif.layers.Dropout(0.1, step_mode="m")
        self.norm = clif.layers.BatchNorm2d(FEATURES)

    def forward(self, x):
        return super().forward(self.norm(x[..., None, None]).flatten(1))


@pytest.mark.parametrize("option", [{"gradient_window": 1}, {"sync_bn": True}])
@pytest.mark.parametrize("made_again", [False, True])
def test_a_network_that_the_run_changes_resumes_in_a_named_folder(config, tmp_path, option, made_again):
    def objects():
        return made(net=Normed(), optimizer=None, scheduler=None)

    folder, same = tmp_path / "named", objects()
    fit(config(epochs=1, **option), quiet=True, folder=folder, **same)
    again = objects() if made_again else same
    result = fit(config(epochs=2, resume=str(folder), **option), quiet=True, folder=folder, **again)
    assert len(result.history) == 2
