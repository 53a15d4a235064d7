"""`clif bench step`: all ways compute the same step, and the gate refuses one that does not."""

import dataclasses
import re

import pytest
import torch

import clif
from clif.bench import step
from clif.bench.peak_memory import Peak
from clif.bench.settings import StepSettings
from clif.bench.step_contestants import DEFAULT_WAYS, WAYS, Trainer, Way

SMALL = StepSettings(model="snn5_noAP", T=2, batch=2, rounds=1, device="cpu")


@pytest.mark.parametrize("name", ["plain", "ours", "ours-bfloat16"])
def test_ways_take_the_plain_step(name):
    assert step.refuses(name, SMALL) is None


def wrong_tau(net):
    for module in net.modules():
        if isinstance(module, clif.CLIFNode):
            module.tau = 2.0001
    return lambda net, x: net(x)


def other_images(_):
    return lambda net, x: net(x.flip(0))


def doubled_logits(_):
    return lambda net, x: net(x) * 2


def scaled(net):
    for p in net.parameters():
        p.register_hook(lambda grad: grad * 2)
    return lambda net, x: net(x)


@pytest.mark.parametrize(
    ("prepare", "autocast", "message"),
    [
        (wrong_tau, None, "in float64 its .* differs by"),
        (other_images, None, "in float64 its logits differs by"),
        (scaled, None, "in float64 its .* differs by"),
        (scaled, torch.bfloat16, "of the norm in the plain way"),
        (doubled_logits, torch.bfloat16, "its loss is|of the norm"),
    ],
)
def test_the_gate_is_red_for_another_step(prepare, autocast, message, monkeypatch):
    monkeypatch.setitem(WAYS, "wrong", Way("", prepare, autocast))
    assert re.search(message, step.refuses("wrong", SMALL))


def test_a_step_changes_the_parameters():
    trainer = Trainer(WAYS["ours"], SMALL)
    before = [p.detach().clone() for p in trainer.net.parameters()]
    trainer.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, trainer.net.parameters(), strict=True) if b.dim() > 1)


def test_plain_runs_in_single_steps_without_kernels():
    trainer = Trainer(WAYS["plain"], SMALL)
    neurons = [module for module in trainer.net.modules() if isinstance(module, clif.CLIFNode)]
    shapes = []
    neurons[0].register_forward_pre_hook(lambda module, args: shapes.append((module.step_mode, args[0].dim())))
    trainer.step()
    assert shapes == [("s", 4)] * SMALL.T
    assert {module.backend for module in neurons} == {"torch"}
    assert all(p.is_contiguous() for p in trainer.net.parameters())


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.usefixtures("fast_bfloat16")
def test_the_command_measures_time_and_memory():
    report = step.run(SMALL)
    rows = {row.name: row for row in report.rows}
    assert set(rows) == set(DEFAULT_WAYS)
    for row in rows.values():
        assert row.timing is not None, row.note
        assert row.figures["peak MiB"] > row.figures["MiB before the step"] > 50
    assert rows["plain"].figures["of plain"] == 1


@pytest.mark.usefixtures("slow_bfloat16")
def test_bfloat16_is_left_out_where_it_is_slow_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(step, "peak_memory", lambda *_: Peak(1.0, 2.0))
    rows = {row.name: row for row in step.run(SMALL).rows}
    slow = {"ours-bfloat16", "ours-bfloat16-bits"}
    assert {name for name, row in rows.items() if row.timing is None} == slow
    for name in slow:
        assert rows[name].dtype == "bfloat16"
        assert rows[name].note == (
            f"left out: the processor has no instructions for bfloat16; --contestants {name} times it anyway"
        )
    named = step.run(dataclasses.replace(SMALL, contestants=("ours-bfloat16-bits",)))
    assert [(row.name, row.timing is not None) for row in named.rows] == [("ours-bfloat16-bits", True)]


def test_checkpointed_blocks_take_the_step_of_ours():
    ours, blocks = (Trainer(WAYS[name], SMALL) for name in ("ours", "ours-blocks"))
    for a, b in zip(ours.gradients(), blocks.gradients(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(ours.net.parameters(), blocks.net.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_what_another_package_cannot_run_has_a_note(monkeypatch):
    def refuse(_):
        raise RuntimeError("it needs a GPU")

    monkeypatch.setitem(WAYS, "theirs", Way("", refuse, needs="json"))
    assert step.cannot_run("theirs", SMALL) == "cannot run here: it needs a GPU"
    monkeypatch.setitem(WAYS, "theirs", Way("", refuse, needs="no_such_package_at_all"))
    assert step.cannot_run("theirs", SMALL).startswith("not installed: No module named")
    monkeypatch.setitem(WAYS, "theirs", Way("", refuse))
    with pytest.raises(RuntimeError, match="it needs a GPU"):
        step.cannot_run("theirs", SMALL)


@pytest.mark.slow
def test_the_memory_optimiser_of_spikingjelly_takes_the_plain_step():
    pytest.importorskip("spikingjelly")
    assert step.cannot_run("ours-memopt-1", dataclasses.replace(SMALL, model="spiking_resnet18")) is None
