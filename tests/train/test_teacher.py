"""Distillation: a run with a spiking or other teacher has the formula's loss, continues, and refuses others."""

import pytest
import torch
from runs import LAST, StopAfter, assert_same_run
from torch.testing import assert_close

import clif
import clif.train.loop as loop
from clif.errors import InputError
from clif.loss import Distillation, SpikingLoss
from clif.models import create_model
from clif.train import Callback, evaluate, fit
from clif.train.checkpoint import save_checkpoint
from clif.train.interrupt import Interrupted


def saved_teacher(path, num_classes=10, neuron="ReLU", **options):
    torch.manual_seed(3)
    net = create_model("snn5_noAP", neuron, num_classes=num_classes, **options)
    save_checkpoint(path, {"net": net.state_dict(), "model": net.config})
    return str(path)


@pytest.fixture
def teacher(tmp_path):
    return saved_teacher(tmp_path / "teacher.pth")


class First(Callback):
    loss = None

    def on_step(self, trainer, loss):
        del trainer
        self.loss = loss if self.loss is None else self.loss


@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 2.0), (0.9, 5.0)])
@pytest.mark.parametrize("kind", [{"neuron": "ReLU"}, {"neuron": "LIF", "T": 3}])
def test_the_first_loss_is_the_formula(config, tmp_path, weight, temperature, kind):
    path = saved_teacher(tmp_path / "other.pth", **kind)
    options = {"teacher": path, "teacher_weight": weight, "teacher_temperature": temperature, "epochs": 1}
    trainer = loop.Trainer(config(**options, max_steps=1), True, [first := First()])
    share = next(trainer.loaders["train"].shares(0))
    student, net = clif.models.create_model("snn5_noAP", "CLIF", T=2), clif.load(path)
    student.load_state_dict(trainer.net.state_dict())
    with torch.no_grad():
        logits, taught = student(share.images), net(share.images)
    trainer.fit()
    expected = Distillation(SpikingLoss(), weight, temperature)(logits, share.labels, taught)
    assert_close(first.loss, expected, rtol=1e-5, atol=1e-6)


def test_evaluations_have_the_loss_of_the_labels(config, teacher):
    trainer = loop.Trainer(config(teacher=teacher, epochs=1), quiet=True)
    result = trainer.fit()
    expected = evaluate(clif.load(result.folder / LAST), trainer.loaders["test"])
    assert result.history[0]["test_loss"] == pytest.approx(expected.loss, rel=1e-5)


def test_a_network_learns_the_logits_of_its_teacher(config, teacher):
    result = fit(config(teacher=teacher, teacher_weight=1.0, epochs=12, T_max=12, opt="Adam", lr=2e-3), quiet=True)
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.7 * losses[0]


def test_a_run_with_a_teacher_resumes_to_the_same_bits(train, config, teacher, tmp_path, monkeypatch):
    whole = train(teacher=teacher, out_dir=str(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", lambda: StopAfter(3))
        with pytest.raises(Interrupted):
            train(teacher=teacher)
    resumed = train(teacher=teacher, resume=str(config(teacher=teacher).run_folder() / LAST))
    assert_same_run(resumed.folder, whole.folder)


def test_float64_stays_float64(train, teacher):
    assert train(teacher=teacher, dtype="float64", max_steps=1).summary["precision"] == "float64"


def test_another_number_of_classes_and_a_missing_file_are_refused(train, tmp_path):
    path = saved_teacher(tmp_path / "other.pth", num_classes=7)
    with pytest.raises(InputError, match=r"other\.pth has 7 classes, the network 10; use one"):
        train(teacher=path)
    path = saved_teacher(tmp_path / "events.pth", in_channels=2)
    with pytest.raises(InputError, match=r"the teacher .*events\.pth: PlainSNN takes an input \[N, 2"):
        train(teacher=path)
    with pytest.raises(InputError, match="no checkpoint at nowhere"):
        train(teacher="nowhere.pth")
