"""Runs that are stopped, killed or resumed: an interruption changes no bit, and no earlier file is lost."""

import math
import os
import signal
import subprocess
import sys

import pytest
import torch
from runs import BEST, LAST, StopAfter, assert_same_run, original_checkpoint, state
from torch.testing import assert_close

import clif
import clif.train.folder as run_folder
import clif.train.loop as loop
from clif.errors import InputError, MissingFileError
from clif.train.checkpoint import read_checkpoint, save_checkpoint
from clif.train.config import resolve
from clif.train.interrupt import Interrupted, StopRequest

DROPOUT = {"drop_rate": 0.4, "lr_scheduler": "StepLR", "step_size": 1}


@pytest.fixture(scope="module")
def whole(short_run, tmp_path_factory):
    """The folder of an uninterrupted run with `DROPOUT`: 2 epochs of 4 steps and 2 test batches."""
    values = {**short_run, **DROPOUT, "out_dir": str(tmp_path_factory.mktemp("whole"))}
    return loop.fit(resolve(**values), quiet=True).folder


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("checks", [1, 4, 5, 7, 11])
def test_a_run_stopped_anywhere_resumes_to_the_same_bits(train, config, whole, monkeypatch, checks):
    folder = config(**DROPOUT).run_folder()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(checks))
        with pytest.raises(Interrupted) as stopped:
            train(**DROPOUT)
    assert stopped.value.signum == signal.SIGTERM
    assert str(stopped.value).endswith(f"-resume {folder / LAST}")
    (folder / "notes.txt").write_text("mine")
    resumed = train(resume=str(folder / LAST), **DROPOUT)
    assert resumed.folder == folder
    assert_same_run(folder, whole)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_stopped_in_its_evaluation_resumes_without_a_warning(train, config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(5))
        with pytest.raises(Interrupted):
            train(epochs=1)
    train(epochs=1, resume=str(config(epochs=1).run_folder() / LAST))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_request_notes_the_first_signal_and_puts_the_handlers_back(signum):
    before = signal.getsignal(signum)
    with StopRequest() as stop:
        assert stop.signum is None
        signal.raise_signal(signum)
        assert stop.signum == signum
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signum) == before


def test_a_run_killed_between_checkpoints_resumes_from_the_last_one_to_the_same_bits(train, config, whole, monkeypatch):
    options = {**DROPOUT, "checkpoint_every": 3}
    original = loop.Trainer._stop_if_asked

    def die_in_the_second_epoch(trainer, *arguments):
        original(trainer, *arguments)
        if (trainer.epoch, trainer.step) == (1, 4):
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_stop_if_asked", die_in_the_second_epoch)
        with pytest.raises(MemoryError):
            train(**options)
    path = config(**options).run_folder() / LAST
    content = read_checkpoint(path)
    assert (content["epoch"], content["progress"]["step"]) == (0, 3)
    assert_same_run(train(resume=str(path), **options).folder, whole)


def test_resuming_after_an_epoch_leads_to_the_same_bits(train, tmp_path, monkeypatch):
    options = {"drop_rate": 0.4, "opt": "AdamW", "lr": 1e-3}
    kept = tmp_path / "kept.pth"

    def keep_first(path, content):
        save_checkpoint(path, content)
        if content["epoch"] == 0 and path.name == LAST:
            save_checkpoint(kept, content)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "save_checkpoint", keep_first)
        uninterrupted = train(out_dir=str(tmp_path / "whole"), **options)
    assert_same_run(train(resume=str(kept), **options).folder, uninterrupted.folder)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_resume(config):
    options = config(epochs=10_000)
    script = (
        "import sys; from clif.cli import main; from clif.train import loop; "
        "original = loop.Trainer._train_epoch\n"
        "def announced(self, *a):\n    print('training', flush=True); original(self, *a)\n"
        "loop.Trainer._train_epoch = announced; sys.exit(main(sys.argv[1:]))"
    )
    given = {"dataset", "data_dir", "model", "neuron", "T", "b", "epochs", "T_max", "lr", "amp", "out_dir"}
    arguments = [f"--{key}={getattr(options, key)}" for key in sorted(given)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, "train", "--quiet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert f"-resume {options.run_folder() / LAST}" in error
    assert "Traceback" not in error
    content = read_checkpoint(options.run_folder() / LAST)
    assert content["progress"]["step"] > 0 or content["epoch"] >= 0


@pytest.mark.parametrize("options", [{}, {"drop_rate": 0.3, "neuron": "LIF"}, {"neuron": "PLIF", "mse_n_reg": True}])
def test_one_step_a_call_gives_the_numbers_of_the_whole_sequence(train, options):
    options = {"dtype": "float64", "epochs": 1, "b": 50, **options}
    at_once, by_step = (train(multiple_step=flag, **options) for flag in (True, False))
    assert at_once.folder != by_step.folder
    assert_close(state(by_step.folder)["net"], state(at_once.folder)["net"], rtol=1e-8, atol=1e-10)
    assert by_step.history[0]["train_loss"] == pytest.approx(at_once.history[0]["train_loss"], rel=1e-10)


def test_an_earlier_run_is_set_aside_whole(train):
    first = train(epochs=1)
    before = {p.name: p.read_bytes() for p in first.folder.iterdir() if p.is_file()}
    for k in (1, 2):
        assert train(epochs=1).folder == first.folder
        aside = first.folder.with_name(f"{first.folder.name}.{k}")
        assert {p.name for p in aside.iterdir()} == {p.name for p in first.folder.iterdir()}
    aside = first.folder.with_name(f"{first.folder.name}.1")
    assert {p.name: p.read_bytes() for p in aside.iterdir() if p.is_file()} == before


def test_an_original_checkpoint_resumes_at_its_next_epoch(train, config, tmp_path):
    options = {"epochs": 7, "T_max": 10}
    path = tmp_path / "checkpoint_latest.pth"
    content = original_checkpoint(config(**options), path)
    result = train(resume=str(path), **options)
    assert [row["epoch"] for row in result.history] == [5, 6]
    lrs = [0.05 * (1 + math.cos(math.pi * epoch / 10)) / 2 for epoch in (5, 6)]
    assert [row["lr"] for row in result.history] == pytest.approx(lrs)
    assert read_checkpoint(result.folder / LAST)["epoch"] == 6
    assert not torch.equal(state(result.folder)["net"]["classifier.weight"], content["net"]["classifier.weight"])


def test_resume_takes_the_weights_and_momenta_of_an_original_checkpoint(config, tmp_path):
    path = tmp_path / "checkpoint_max.pth"
    content = original_checkpoint(config(), path)
    trainer = loop.Trainer(config(epochs=9, resume=str(path)), quiet=True)
    assert_close(dict(trainer.net.state_dict()), dict(content["net"]), rtol=0, atol=0)
    momentum = [entry["momentum_buffer"] for entry in trainer.optimizer.state_dict()["state"].values()]
    expected = [entry["momentum_buffer"] for entry in content["optimizer"]["state"].values()]
    assert_close(momentum, expected, rtol=0, atol=0)
    assert (trainer.epoch, trainer.step, trainer.inherited_best) == (5, 0, 0.01)


def test_resume_with_another_optimiser_is_an_input_error(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="was trained with SGD; resume with --opt SGD"):
        train(resume=str(tmp_path / "c.pth"), opt="AdamW", epochs=9)


@pytest.mark.parametrize("progress", [{"step": 3}, {"step": "x", "loader": 3}, {"loader": {}, "step": 0}])
def test_a_place_that_cannot_be_read_is_an_input_error(train, config, tmp_path, progress):
    content = original_checkpoint(config(), tmp_path / "c.pth")
    save_checkpoint(tmp_path / "c.pth", {**content, "progress": progress})
    with pytest.raises(InputError, match=r"c\.pth: its position within the epoch cannot be read"):
        train(resume=str(tmp_path / "c.pth"), epochs=9)


@pytest.mark.parametrize("key", ["optimizer", "lr_scheduler", "epoch"])
def test_resume_without_what_it_needs_is_an_input_error(train, config, tmp_path, key):
    original_checkpoint(config(), tmp_path / "c.pth", **{key: ...})
    with pytest.raises(InputError, match=f"it has no '{key}'; --pre-train"):
        train(resume=str(tmp_path / "c.pth"), epochs=9)


def test_resume_with_another_network_is_an_input_error(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="does not fit snn5 with CLIF neurons"):
        train(resume=str(tmp_path / "c.pth"), model="snn5", epochs=9)


@pytest.mark.parametrize("option", ["resume", "pre_train"])
def test_a_missing_checkpoint_is_named_before_any_folder_is_made(train, tmp_path, option):
    with pytest.raises(MissingFileError, match=r"none\.pth"):
        train(**{option: str(tmp_path / "none.pth")})
    assert not (tmp_path / "logs").exists()


def test_nothing_left_to_train_is_an_input_error_when_there_is_no_history(train, config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="already has all 2 epochs"):
        train(resume=str(tmp_path / "c.pth"), epochs=2)


def test_resuming_a_finished_run_reports_it_again(train):
    first = train()
    again = train(resume=str(first.folder / LAST))
    assert again.summary == first.summary
    assert again.folder == first.folder


def test_pre_train_starts_a_new_run_from_the_weights(config, tmp_path):
    content = original_checkpoint(config(), tmp_path / "c.pth")
    trainer = loop.Trainer(config(pre_train=str(tmp_path / "c.pth")), quiet=True)
    assert_close(dict(trainer.net.state_dict()), dict(content["net"]), rtol=0, atol=0)
    assert trainer.epoch == 0
    assert [row["epoch"] for row in trainer.fit().history] == [0, 1]


def test_pre_train_keeps_the_last_layer_of_a_network_with_other_classes(config, train, tmp_path, caplog):
    net = clif.models.create_model("snn5_noAP", "CLIF", num_classes=3, T=2)
    clif.export.to_safetensors(net, tmp_path / "three.safetensors")
    trained = net.state_dict()
    trainer = loop.Trainer(config(pre_train=str(tmp_path / "three.safetensors")), quiet=True)
    assert (
        "three.safetensors: has other classes, so the last layer keeps its fresh weights (classifier.weight)"
        in caplog.text
    )
    found = trainer.net.state_dict()
    assert found["classifier.weight"].shape[0] == 10
    kept = [key for key in trained if not key.startswith("classifier")]
    assert_close({key: found[key] for key in kept}, {key: trained[key] for key in kept}, rtol=0, atol=0)
    trainer.folder.release()
    begun = train(pre_train=str(tmp_path / "three.safetensors"), epochs=1)
    assert len(train(resume=str(begun.folder / LAST)).history) == 2


def test_pre_train_refuses_other_channels(config, tmp_path):
    net = clif.models.create_model("snn5_noAP", "CLIF", in_channels=1, T=2)
    clif.export.to_safetensors(net, tmp_path / "grey.safetensors")
    with pytest.raises(
        InputError, match=r"grey\.safetensors: does not fit snn5_noAP .* features\.0.* is \[16, 1, 3, 3\]"
    ):
        loop.Trainer(config(pre_train=str(tmp_path / "grey.safetensors")), quiet=True)


def test_pre_train_takes_clif_weights_into_a_lif_network(config, tmp_path):
    original_checkpoint(config(), tmp_path / "c.pth")
    trainer = loop.Trainer(config(pre_train=str(tmp_path / "c.pth"), neuron="LIF"), quiet=True)
    assert type(trainer.net.features[0].act) is clif.LIFNode


@pytest.fixture
def converted(tmp_path):
    """The file of a LIF network with constants of all and of single neurons."""
    layers = {"features.1.act": {"v_subtract": 1.8, "tau": 3.0}}
    net = clif.models.create_model("snn5_noAP", "LIF", T=2, tau=1.5, v_threshold=0.8, layer_options=layers)
    clif.export.to_safetensors(net, tmp_path / "lif.safetensors")
    return str(tmp_path / "lif.safetensors")


def constants(net):
    return [(layer.act.tau, layer.act.v_threshold, getattr(layer.act, "v_subtract", 0)) for layer in net.features[:2]]


def test_pre_train_takes_the_constants_of_the_neurons_and_a_resumed_run_keeps_them(config, train, converted):
    trainer = loop.Trainer(config(pre_train=converted, neuron="LIF", ema=0.9), quiet=True)
    expected = [(2.0, 0.8, None), (2.0, 0.8, 1.8)]
    assert constants(trainer.net) == constants(trainer.evaluated_net) == expected
    trainer.folder.release()
    begun = train(pre_train=converted, neuron="LIF", max_steps=1)
    assert constants(clif.load(begun.folder)) == expected
    again = loop.Trainer(config(neuron="LIF", ema=0.9, resume=str(begun.folder / LAST)), quiet=True)
    assert constants(again.net) == constants(again.evaluated_net) == expected


def test_pre_train_takes_the_constants_that_another_neuron_has(config, converted):
    trainer = loop.Trainer(config(pre_train=converted, neuron="CLIF"), quiet=True)
    assert constants(trainer.net) == [(2.0, 0.8, 0)] * 2


def test_your_own_network_keeps_its_constants_with_pre_train(config, converted):
    net = clif.models.create_model("snn5_noAP", "LIF", T=2, v_threshold=0.5)
    loop.fit(config(pre_train=converted, max_steps=1), True, net=net)
    assert constants(net) == [(2.0, 0.5, None)] * 2


@pytest.mark.parametrize(
    "model", [{"layer_options": 3}, {"layer_options": {"features.1.act": 3}}, {"v_threshold": "x"}]
)
def test_pre_train_from_damaged_constants_is_an_error_that_names_the_file(config, tmp_path, model):
    net = clif.models.create_model("snn5_noAP", "LIF", T=2)
    save_checkpoint(tmp_path / "c.pth", {"net": net.state_dict(), "model": model})
    with pytest.raises(InputError, match=r"c\.pth: its constants of neurons are damaged"):
        loop.Trainer(config(pre_train=str(tmp_path / "c.pth"), neuron="LIF"), quiet=True)


def test_resuming_the_initial_checkpoint_is_the_run_itself(train, tmp_path):
    whole = train(save_init=True, drop_rate=0.3)
    resumed = train(resume=str(whole.folder / "checkpoint_0.pth"), drop_rate=0.3, out_dir=str(tmp_path / "again"))
    assert_same_run(resumed.folder, whole.folder)


def test_a_run_with_more_epochs_holds_its_best_checkpoint_even_if_an_earlier_one_was_best(train, monkeypatch):
    scores = iter([0.9, 0.1, 0.1])
    monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(scores), 1.0, 20, 1.0))
    first = train(epochs=2)
    longer = train(epochs=3, resume=str(first.folder / LAST))
    assert longer.summary["best"]["epoch"] == 0
    assert read_checkpoint(longer.folder / BEST)["epoch"] == 0


def test_a_run_folder_resumes_from_its_last_checkpoint_in_it(train, monkeypatch):
    scores = iter([0.9, 0.1, 0.1])
    monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(scores), 1.0, 20, 1.0))
    folder = train().folder
    again = train(resume=str(folder))
    assert [p.name for p in folder.parent.iterdir()] == [again.folder.name]
    assert len(again.history) == 2


def test_a_partial_epoch_is_evaluated_again_with_the_time_steps_of_its_epoch(train, monkeypatch):
    steps, evaluate = [], loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda net, *rest: steps.append(net.T) or evaluate(net, *rest))
    options = {"T_stages": "1:2", "max_steps": 6, "resume": "auto"}
    first, second = train(**options), train(**options)
    assert steps == [1, 1, 1]
    assert second.summary["last"]["test_loss"] == first.summary["last"]["test_loss"]


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("keep", "best"), [(9, 0), (3, None)])
def test_a_best_checkpoint_from_after_the_start_is_set_aside(
    train, monkeypatch, caplog, tmp_path, keep, best, elsewhere
):
    def scored(*scores):
        given = iter(scores)
        monkeypatch.setattr(loop, "evaluate", lambda *_: loop.Scores(1.0, next(given), 1.0, 20, 1.0))

    options = {"epochs": 4, "keep_last": keep}
    scored(0.5, 0.2, 0.9, 0.8)
    folder = train(**options).folder
    scored(0.3, 0.3)
    start = folder / "checkpoint_epoch0002_step000000.pth"
    moved = {"out_dir": str(tmp_path / "elsewhere")} if elsewhere else {}
    result = train(**options, resume=str(start), **moved)
    assert result.summary["best"]["epoch"] == 0
    assert (result.folder / BEST).is_file() == (best == 0)
    assert read_checkpoint(result.folder)["epoch"] == (3 if best is None else best)
    assert read_checkpoint(result.folder / "checkpoint_best_epoch0003.pth")["epoch"] == 2
    assert "is of epoch 3, but the run goes on after epoch 2: it is now checkpoint_best_epoch0003.pth" in caplog.text
    assert ("that of the best epoch until then, 1, was not kept" in caplog.text) == (best is None)
