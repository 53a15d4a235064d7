"""Runs with checkpointed blocks give the same numbers as runs without."""

import pytest
import torch
from processes import Recorder
from runs import StopAfter, assert_same_run
from test_processes import EXACT, alone, assert_equal_runs, torchrun
from torch import nn

import clif
import clif.train.loop as loop
from clif.errors import InputError
from clif.layers import Linear
from clif.train import fit
from clif.train.config import resolve
from clif.train.interrupt import Interrupted

OPTIONS = {"drop_rate": 0.2, "gradient_window": 1, "accumulate": 2, "log_firing_rates": True, "ema": 0.9}


@pytest.mark.parametrize("options", [OPTIONS, {"multiple_step": False, "amp": True, "amp_dtype": "bfloat16"}])
def test_a_run_is_the_same(train, tmp_path, options):
    runs = [
        train(**options, checkpoint_blocks=checkpointed, out_dir=str(tmp_path / str(checkpointed)))
        for checkpointed in (False, True)
    ]
    assert_same_run(*(run.folder for run in runs))


def test_a_run_that_was_interrupted_resumes(train, config, tmp_path, monkeypatch):
    whole = train(checkpoint_blocks=True, out_dir=str(tmp_path / "whole"))
    options = {"checkpoint_blocks": True, "out_dir": str(tmp_path / "parts")}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(3))
        with pytest.raises(Interrupted):
            fit(config(**options), quiet=True)
    parts = train(**options, resume="auto")
    assert_same_run(whole.folder, parts.folder)


def test_the_network_of_a_run_keeps_less():
    trainer = loop.Trainer(resolve("digits", checkpoint_blocks=True, epochs=1), quiet=True)
    assert any("forward" in vars(module) for module in trainer.net.modules())


def test_own_networks_are_checkpointed_too(tmp_path):
    x, y = torch.rand(4, 2, 8), torch.tensor([0, 1])
    loaders = {"train": [(x, y)], "val": [(x, y)]}
    config = resolve(checkpoint_blocks=True, epochs=1, loss="CE", out_dir=str(tmp_path))
    net = nn.Sequential(Linear(8, 8), clif.CLIFNode(step_mode="m"), Linear(8, 2))
    fit(config, quiet=True, net=net, loaders=loaders)
    assert "forward" in vars(net)
    without = nn.ModuleDict({"layers": Linear(8, 2)})
    with pytest.raises(InputError, match="this ModuleDict has no blocks"):
        fit(config, quiet=True, net=without, loaders=loaders)


def test_relu_has_no_spikes_to_keep():
    with pytest.raises(InputError, match="checkpoint_blocks stores the spikes between blocks, but ReLU has no spikes"):
        resolve(neuron="ReLU", checkpoint_blocks=True)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_two_processes_have_the_losses_of_one(short_run, tmp_path):
    options = {**short_run, **EXACT, "b": 7, "drop_rate": 0.3, "epochs": 1, "accumulate": 2}
    checkpointed = {**options, "checkpoint_blocks": True, "out_dir": str(tmp_path / "two" / "logs")}
    many = torchrun(tmp_path / "two", checkpointed)
    one: Recorder = alone({**options, "out_dir": str(tmp_path / "one")})
    assert_equal_runs(one, many)
