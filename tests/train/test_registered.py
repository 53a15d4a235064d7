"""Optimisers, schedules and losses by name: clif's compute what their names say, the user's train a run."""

import pytest
import torch
from runs import LAST, StopAfter, assert_same_run
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR, StepLR

import clif.train.loop as loop
from clif.cli import main
from clif.errors import InputError
from clif.names import known_names, training_names
from clif.precision import choose
from clif.train import fit, register_loss, register_optimizer, register_scheduler
from clif.train.checkpoint import read_checkpoint
from clif.train.config import resolve
from clif.train.interrupt import Interrupted
from clif.train.losses import LOSSES, make_loss
from clif.train.optimizers import OPTIMIZERS, make_optimizer
from clif.train.schedules import SCHEDULERS, advance, make_scheduler
from clif.trained_network import evaluate_checkpoint


class Holding(torch.optim.lr_scheduler.LRScheduler):
    """Halves the rate at its second step, and records that it did."""

    def get_lr(self):
        if self.last_epoch == 2 and not hasattr(self, "halved"):
            self.halved = True
        return [rate * (0.5 if hasattr(self, "halved") else 1.0) for rate in self.base_lrs]


REGISTRIES = {"opt": OPTIMIZERS, "lr_scheduler": SCHEDULERS, "loss": LOSSES}


@pytest.fixture(autouse=True)
def _registries():
    """Names that a test registers are removed after it."""
    before = {kind: dict(registry) for kind, registry in REGISTRIES.items()}
    yield
    for kind, registry in REGISTRIES.items():
        registry.clear()
        registry.update(before[kind])


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_names_that_are_known_without_torch_are_the_registered_ones(kind):
    assert list(training_names(kind)) == list(REGISTRIES[kind])


def options(config, **more):
    return config(weight_decay=0.01, momentum=0.8, **more)


@pytest.mark.parametrize(
    ("opt", "kind", "expected"),
    [
        ("SGD", torch.optim.SGD, {"momentum": 0.8, "lr": 0.05, "weight_decay": 0.01}),
        ("Adam", torch.optim.Adam, {"betas": (0.9, 0.999), "lr": 0.05, "weight_decay": 0.01}),
        ("AdamW", torch.optim.AdamW, {"betas": (0.9, 0.999), "lr": 0.05, "weight_decay": 0.01}),
    ],
)
def test_an_optimiser_is_torchs_with_the_options(config, opt, kind, expected):
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    precision = choose(torch.device("cpu"), False, "auto", "float32")
    optimizer = make_optimizer(options(config, opt=opt, no_decay_norm_bias=True), net, precision)
    assert type(optimizer) is kind
    first, last = optimizer.param_groups
    assert {key: first[key] for key in expected} == expected
    assert last["weight_decay"] == 0
    assert len(last["params"]) == 3


def rates(config, steps, per_epoch=3):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], config.lr)
    scheduler = make_scheduler(config, optimizer, per_epoch)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        advance(scheduler)
    return found


@pytest.mark.parametrize(
    ("changed", "make"),
    [
        ({}, lambda o, k: CosineAnnealingLR(o, 4 * k)),
        ({"lr_scheduler": "CosRestarts"}, lambda o, k: CosineAnnealingWarmRestarts(o, 4 * k)),
        ({"lr_scheduler": "CosRestarts", "T_mult": 2}, lambda o, k: CosineAnnealingWarmRestarts(o, 4 * k, 2)),
        ({"lr_scheduler": "StepLR", "step_size": 2.0, "gamma": 0.5}, lambda o, k: StepLR(o, 2 * k, 0.5)),
    ],
)
@pytest.mark.parametrize("by_step", [False, True])
def test_a_schedule_is_torchs_by_epoch_or_by_step(config, changed, make, by_step):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.05)
    scheduler = make(optimizer, 3 if by_step else 1)
    expected = []
    for _ in range(30):
        expected.append(optimizer.param_groups[0]["lr"])
        advance(scheduler)
    assert rates(config(T_max=4, epochs=4, lr_by_step=by_step, **changed), 30) == pytest.approx(expected, rel=1e-12)


OWN = {"opt": "Adam", "lr": 1e-3, "lr_scheduler": "CosRestarts", "T_mult": 2, "T_max": 1, "lr_by_step": True}
OWN |= {"loss": "CE", "warmup_epochs": 0.5}


@pytest.mark.parametrize("more", [{}, {"loss": "MSE", "lr_by_step": False}, {"loss": "TET", "ema": 0.9}])
def test_a_run_resumes_exactly_with_every_kind(train, config, tmp_path, monkeypatch, more):
    whole = train(out_dir=str(tmp_path / "whole"), epochs=3, **{**OWN, **more})
    values = {"epochs": 3, **OWN, **more}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(6))
        with pytest.raises(Interrupted):
            train(**values)
    folder = train(resume=str(config(**values).run_folder() / LAST), **values).folder
    assert_same_run(folder, whole.folder)


def test_own_ones_train_and_resume_a_run(train, config):
    @register_optimizer
    def MyRMS(groups, config):
        return torch.optim.RMSprop(groups, lr=config.lr, weight_decay=config.weight_decay)

    @register_scheduler("Falling")
    def falling(optimizer, config, per_epoch):
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, config.gamma ** (1 / per_epoch))

    @register_loss
    class LastStep:
        def __init__(self, config):
            self.smoothing = config.label_smoothing

        def __call__(self, logits, labels):
            return nn.functional.cross_entropy(logits[-1].float(), labels, label_smoothing=self.smoothing)

    values = {"opt": "myrms", "lr": 1e-3, "lr_scheduler": "Falling", "gamma": 0.5, "loss": "LastStep", "epochs": 2}
    result = train(**values)
    assert [row["lr"] for row in result.history] == pytest.approx([1e-3, 5e-4])
    assert read_checkpoint(result.folder / LAST)["config"]["opt"] == "MyRMS"
    again = train(resume=str(result.folder / LAST), **{**values, "epochs": 3})
    assert again.history[-1]["lr"] == pytest.approx(2.5e-4)
    assert "MyRMS" in known_names("opt")
    assert isinstance(make_loss(config(**values)), LastStep)


@pytest.mark.parametrize(
    ("register", "values", "message"),
    [
        (lambda: register_loss("bad")(lambda _: lambda x, _y: x[0]), {"loss": "bad"}, "loss must be one number"),
        (lambda: register_loss("bad")(lambda _: 3), {"loss": "bad"}, "the loss bad must be a function of"),
        (
            lambda: register_loss("bad")(lambda _: nn.CrossEntropyLoss()),
            {"loss": "bad"},
            r"the loss bad gets logits \[T, N, classes\], but PyTorch's CrossEntropyLoss takes \[N, classes\]",
        ),
        (
            lambda: register_optimizer("bad")(lambda _g, _c: 3),
            {"opt": "bad"},
            "be a torch.optim.Optimizer, got int",
        ),
        (
            lambda: register_scheduler("bad")(lambda o, _c, _k: torch.optim.lr_scheduler.ReduceLROnPlateau(o)),
            {"lr_scheduler": "bad", "lr_by_step": True},
            "ReduceLROnPlateau advances with every epoch; leave lr_by_step",
        ),
    ],
)
def test_what_an_own_one_makes_is_checked(train, register, values, message):
    register()
    with pytest.raises(InputError, match=message):
        train(**values)


def test_a_schedule_keeps_what_it_came_to_know(train):
    register_scheduler("Holding")(lambda optimizer, _config, _per_epoch: Holding(optimizer))
    whole = train(lr_scheduler="Holding", lr=0.1, epochs=5)
    assert [row["lr"] for row in whole.history] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.05])
    part = train(lr_scheduler="Holding", lr=0.1, epochs=3, name="part").folder
    again = train(lr_scheduler="Holding", lr=0.1, epochs=5, name="part", resume=str(part / LAST))
    assert [row["lr"] for row in again.history] == [row["lr"] for row in whole.history]


def test_an_evaluation_has_the_state_of_a_loss(train):
    @register_loss
    class Rising(nn.Module):
        def __init__(self, config):
            super().__init__()
            del config
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, logits, labels):
            self.calls += self.training
            return nn.functional.cross_entropy(logits.mean(0), labels) * 0 + self.calls

    folder = train(loss="Rising", epochs=1).folder
    assert evaluate_checkpoint(folder, {}).scores.loss > 4


def test_a_shipped_name_is_not_taken():
    with pytest.raises(InputError, match=r"the name 'sgd' is taken by clif\.train\.optimizers\._sgd"):
        register_optimizer("sgd")(lambda _groups, _config: None)


def test_the_command_line_takes_what_an_import_registers(own_code, capsys):
    own_code.write(
        "my_loss.py",
        "import clif, torch\n\n\n@clif.train.register_loss\ndef first_step(config):\n"
        "    return lambda logits, labels: torch.nn.functional.cross_entropy(logits[0].float(), labels)\n",
    )
    line = "train digits -import my_loss.py --loss first_step --max-steps 2 -T 2 --quiet"
    assert main(line.split()) == 0
    (config,) = own_code.folder.glob("logs/*/config.yaml")
    assert "loss: first_step" in config.read_text()
    own_code.new_process()
    assert main(["train", "digits", "--loss", "first_stp", "--max-steps", "2", "--quiet"]) == 2
    assert "unknown loss 'first_stp'" in capsys.readouterr().err


def test_old_run_folders_keep_their_names():
    assert resolve(loss="paper", lr_by_step=False, T_mult=1).run_folder() == resolve().run_folder()


@pytest.mark.parametrize(
    ("loss", "option"),
    [("CE", {"loss_lambda": 0.2}), ("TET", {"mse_n_reg": True}), ("MSE", {"label_smoothing": 0.1})],
)
def test_an_option_that_a_loss_does_not_have_is_refused(config, loss, option):
    with pytest.raises(InputError, match=rf"{next(iter(option))} has no effect on --loss {loss}; leave it at"):
        fit(config(loss=loss, **option), quiet=True)


def test_a_cycle_that_was_made_for_epochs_is_refused(config, monkeypatch):
    monkeypatch.setitem(SCHEDULERS, "cycle", lambda optimizer, config, n: OneCycleLR(optimizer, 0.1, config.T_max * n))
    with pytest.raises(InputError, match="cycle is a OneCycleLR, which advances by step: add --lr-by-step"):
        fit(config(lr_scheduler="cycle"), quiet=True)
    assert fit(config(lr_scheduler="cycle", lr_by_step=True), quiet=True).history
