"""Runs with the user's own objects: what is refused or told of."""

import pytest
import torch
from own_objects import CLASSES, FEATURES, Net, T, Weighted, data, made
from torch import nn
from torch.utils.data import DataLoader

import clif
from clif.errors import InputError
from clif.loss import CrossEntropy
from clif.train import fit
from clif.train.config import TrainConfig


def other_optimizer():
    return torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)


class Lying(list):
    def __len__(self):
        return 5


@pytest.mark.parametrize(
    ("options", "objects", "message"),
    [
        ({}, {"net": 3}, "net= takes a torch.nn.Module, got int"),
        ({}, {"net": nn.Flatten()}, "the network has no parameters to train"),
        ({"whiten": True}, {}, "whiten is for networks that the configuration creates"),
        ({"T_stages": "1:1"}, {}, "T_stages is for a clif.models.SpikingNetwork"),
        ({"multiple_step": False}, {}, "multiple_step=False is for a clif.models.SpikingNetwork"),
        ({"val_split": 0.2}, {}, r'val_split needs .* set val_split=0 and pass loaders\["val"\]'),
        ({"checkpoint_every": 1}, {}, "checkpoint_every writes within an epoch"),
        ({}, {"loaders": {"test": []}}, r'loaders= needs at least loaders\["train"\]'),
        ({}, {"loaders": {"train": [1], "valid": []}}, r"unknown part of loaders= 'valid'; did you mean val"),
        ({}, {"loaders": {"train": []}}, r"loaders\['train'\] is empty"),
        ({}, {"loaders": {"train": (pair for pair in [1])}}, r"loaders\['train'\] yields its batches only once"),
        ({}, {"loaders": {"train": 3}}, r"loaders\['train'\] must be an iterable of \(x, y\), got int"),
        ({}, {"loaders": {"train": [torch.rand(2, 6)]}}, r"must give pairs of tensors \(x, y\), got Tensor"),
        ({}, {"loaders": {"train": [(torch.rand(2, 6), torch.rand(2))]}}, r"got x \[2, 6\] and y torch.float32 \[2\]"),
        ({}, {"loaders": {"train": Lying([data().tensors])}}, "has the length 5 but gave fewer batches in epoch 1"),
        ({"early_stop": 2}, {"loaders": {"train": [data().tensors]}}, r'early_stop needs .* pass loaders\["val"\]'),
        ({"early_stop": 2, "test_at_end": True}, {}, r'early_stop needs .* pass loaders\["val"\]'),
        ({}, {"net": None}, "an optimizer of your own needs your own network"),
        ({}, {"optimizer": None}, "a scheduler of your own needs your own optimizer"),
        ({}, {"optimizer": other_optimizer()}, "scheduler= must be created for the run's own optimiser"),
        ({}, {"optimizer": other_optimizer(), "scheduler": None}, "the optimizer has none of the network's parameters"),
        ({}, {"loss": 3}, "loss= must be a function of logits and labels, got int"),
        ({}, {"loss": nn.CrossEntropyLoss()}, r"loss= gets logits \[T, N, classes\], but PyTorch's CrossEntropyLoss"),
        (
            {},
            {"loss": nn.functional.cross_entropy},
            r"PyTorch's cross_entropy takes \[N, classes\]; use one of clif",
        ),
        ({}, {"optimizer": "Adam", "scheduler": None}, "optimizer= must be a torch.optim.Optimizer, got str"),
        ({}, {"optimizer": torch.optim.Adam, "scheduler": None}, "must be a torch.optim.Optimizer, got Adam"),
        ({}, {"net": Net().double()}, r'weights of net= are float64, .*: pass net.float\(\), or dtype="float64"'),
        ({}, {"net": Net().bfloat16()}, r"weights of net= are bfloat16, .*: pass net.float\(\); amp=True computes"),
        ({}, {"net": nn.LazyLinear(3)}, r"net= has lazy layers, .*; call net\(x\) once before fit"),
        ({}, {"loaders": [(torch.rand(2, 6), torch.zeros(2))]}, "loaders= takes a dict, .*, got list"),
        (
            {"gradient_window": 1},
            {"net": nn.Sequential(nn.Linear(6, 3), clif.LIFNode())},
            "neurons that take sequences",
        ),
        ({}, {"loss": lambda logits, _labels: logits}, "the loss must be one number"),
        ({}, {"loss": lambda logits, _labels: logits.detach().mean()}, "the loss has no gradient"),
        (
            {},
            {"loaders": {"train": [(torch.rand(2, 6), torch.tensor([1, 3]))]}, "loss": CrossEntropy()},
            "3 classes are",
        ),
        ({}, {"loaders": {"train": [(torch.rand(2, 6), torch.zeros(2), "a")]}}, r"got \(Tensor, Tensor, str\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(config, options, objects, message):
    with pytest.raises(InputError, match=message):
        fit(config(**options), quiet=True, **made(**objects))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x[None, None], r"must give logits \[T, N, classes\] or \[N, classes\], got \[1, 1, 6, 3\]"),
        (lambda x: x[:, None], r"got \[6, 1, 3\] for N = 6 labels"),
        (lambda x: (x,), "got tuple"),
    ],
)
def test_other_outputs_of_the_network_are_refused(config, output, message):
    class Odd(nn.Linear):
        def forward(self, x):
            return output(super().forward(x))

    loaders = {"train": DataLoader(data(), 6)}
    with pytest.raises(InputError, match=message):
        fit(config(), quiet=True, net=Odd(FEATURES, CLASSES), loaders=loaders, loss=CrossEntropy())


def test_a_state_that_no_checkpoint_can_hold_is_refused_before_training(config):
    class WithFunction(torch.optim.lr_scheduler.LRScheduler):
        def __init__(self, optimizer):
            self.factor = lambda epoch: 0.5**epoch
            super().__init__(optimizer)

        def get_lr(self):
            return [rate * self.factor(self.last_epoch) for rate in self.base_lrs]

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    objects = made(net=net, optimizer=optimizer, scheduler=WithFunction(optimizer))
    with pytest.raises(InputError, match="the state of the schedule WithFunction holds more than tensors and plain"):
        fit(config(), quiet=True, **objects)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"neuron": "CLIFF"}, "unknown neuron 'CLIFF'; did you mean CLIF"),
    ],
)
def test_a_configuration_that_was_made_directly_is_checked(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        fit(TrainConfig(dataset="digits", out_dir=str(tmp_path), **values), quiet=True)


def test_an_optimiser_that_needs_a_closure_is_refused(config):
    net = Net()
    with pytest.raises(InputError, match="LBFGS needs a closure for its step"):
        fit(config(), quiet=True, **made(net=net, optimizer=torch.optim.LBFGS(net.parameters()), scheduler=None))


def test_a_state_that_is_no_tensor_is_refused(config):
    class Noting(Net):
        def get_extra_state(self):
            return {"note": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(InputError, match="the state dict of net= holds _extra_state, which is no tensor"):
        fit(config(), quiet=True, **made(net=Noting(), optimizer=None, scheduler=None))


def test_image_sizes_are_for_images(config):
    net = clif.models.create_model("spiking_resnet18", "LIF", T=2, num_classes=CLASSES)
    frames = torch.rand(2, 4, 3, 8, 8), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(InputError, match=r"size_stages is for images \[N, C, H, W\], got \[2, 4, 3, 8, 8\]"):
        fit(config(size_stages="8:1"), quiet=True, net=net, loaders={"train": [frames]})


def test_parameters_of_a_loss_that_nothing_trains_are_named(config, caplog):
    fit(config(epochs=1), quiet=True, **made(loss=Weighted()))
    assert "the loss Weighted has parameters that the optimiser does not train (weight)" in caplog.text
    caplog.clear()
    fit(config(epochs=1), quiet=True, **made(loss=Weighted().requires_grad_(False)))
    assert "does not train" not in caplog.text


def test_a_sequence_for_neurons_in_single_step_mode_is_refused_in_training(config):
    net = Net()
    clif.set_step_mode(net, "s")
    net.layers[1] = nn.Identity()
    objects = {"net": net, "loaders": {"train": DataLoader(data(), 6)}}
    with pytest.raises(InputError, match="the neurons of Net are in single-step mode and took a sequence for one step"):
        fit(config(epochs=1), quiet=True, **objects)


def test_stages_of_time_steps_need_samples_without_time(config):
    net = clif.wrap(nn.Sequential(nn.Linear(FEATURES, 8), clif.CLIFNode(), nn.Linear(8, CLASSES)), T=3)
    x, y = data().tensors
    objects = {"net": net, "loaders": {"train": [(x.expand(T, *x.shape), y)]}}
    with pytest.raises(InputError, match=r"T_stages is for samples without time, got a sequence \[3, 20, 6\]"):
        fit(config(epochs=2, T_stages="1:1"), quiet=True, **objects)
