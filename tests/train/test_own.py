"""Runs with the user's own objects: training, resuming, and refusals."""

import copy

import pytest
import torch
from own_objects import CLASSES, FEATURES, N, Net, T, assert_resumes, data, made, nn_loss
from runs import LAST, StopAfter, assert_same_run
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader

import clif
import clif.train.loop as loop
from clif import layers
from clif.data import create_loader
from clif.errors import InputError
from clif.loss import CrossEntropy
from clif.report.runs import open_run
from clif.train import Callback, fit
from clif.train.checkpoint import read_checkpoint
from clif.train.config import TrainConfig
from clif.train.interrupt import Interrupted
from clif.trained_network import evaluate_checkpoint


class Seen(Callback):
    def __init__(self):
        self.losses = []

    def on_step(self, trainer, loss):
        del trainer
        self.losses.append(loss.item())


def test_a_run_is_the_loop_that_one_would_write(config):
    seen = Seen()
    result = fit(config(epochs=2), True, [seen], **made())
    objects = made()
    net, optimizer, scheduler = (objects[name] for name in ("net", "optimizer", "scheduler"))
    torch.manual_seed(config().seed)
    losses = []
    for _ in range(2):
        net.train()
        for x, y in objects["loaders"]["train"]:
            clif.reset_net(net)
            loss = nn_loss(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        list(objects["loaders"]["test"])
    assert len(losses) == 8
    assert seen.losses == pytest.approx(losses, rel=1e-6)
    assert [row["lr"] for row in result.history] == pytest.approx([0.01, 0.005])
    net.eval()
    clif.reset_net(net)
    x, y = data(1).tensors
    with torch.no_grad():
        assert result.history[-1]["test_top1"] == pytest.approx((net(x).mean(0).argmax(-1) == y).float().mean().item())
    content = read_checkpoint(result.folder / LAST)
    assert_close(content["net"], net.state_dict())
    assert content["own"] == ["net", "loaders", "optimizer", "scheduler", "loss"]
    assert result.folder.name.startswith("own_Net_T")


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


def test_a_network_without_time_gives_logits_of_one_step(config):
    net = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    loaders = {"train": [tuple(data().tensors)], "val": DataLoader(data(), 8)}
    options = {"opt": "Adam", "lr": 0.05, "lr_scheduler": "StepLR", "loss": "CE"}
    result = fit(config(epochs=30, T_max=30, **options), quiet=True, net=net, loaders=loaders)
    assert result.history[-1]["val_top1"] > 0.9
    assert result.summary["best_chosen_on"] == "val"


def test_the_loader_that_cannot_begin_within_an_epoch_is_told_of(config, capsys):
    fit(config(epochs=1), **made())
    assert "an interrupted run resumes from its last complete epoch" in capsys.readouterr().out


def test_soft_labels_and_a_shape_with_time_first_are_taken(config):
    x = torch.rand(T, N, FEATURES)
    y = torch.softmax(torch.randn(N, CLASSES), -1)
    net = nn.Sequential(layers.Linear(FEATURES, CLASSES), layers.LeakyIntegrator(step_mode="m"))
    result = fit(config(epochs=1, loss="TET"), quiet=True, net=net, loaders={"train": [(x, y)]})
    assert result.history[0]["train_loss"] > 0
    assert net[1].v is None


def test_a_one_cycle_of_one_s_own_goes_on_with_every_step(config):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)
    fit(config(epochs=2), True, **made(net=net, optimizer=optimizer, scheduler=scheduler))
    assert scheduler.last_epoch == 7


def test_a_network_of_spikingjelly_trains_as_in_its_own_loop(config):
    pytest.importorskip("spikingjelly.activation_based", exc_type=ImportError)
    from spikingjelly.activation_based import functional, layer, neuron

    class Theirs(Net):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(layer.Linear(FEATURES, 8), neuron.LIFNode(), layer.Linear(8, CLASSES))
            functional.set_step_mode(self, "m")

    objects = made(net=Theirs(), loaders={"train": DataLoader(data(), 6)}, optimizer=None, scheduler=None)
    reference = copy.deepcopy(objects["net"])
    options = {"opt": "SGD", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "lr_scheduler": "StepLR"}
    folder = fit(config(epochs=2, **options), quiet=True, **objects).folder
    optimizer = torch.optim.SGD(reference.parameters(), 0.1)
    for _ in range(2):
        for x, y in objects["loaders"]["train"]:
            functional.reset_net(reference)
            optimizer.zero_grad()
            nn_loss(reference(x), y).backward()
            optimizer.step()
    assert_close(objects["net"].state_dict(), reference.state_dict())
    assert_close(clif.load(folder, net=Theirs()).state_dict(), reference.state_dict())


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


def test_a_place_within_an_epoch_is_no_start(config):
    folder = fit(config(epochs=3, max_steps=5, keep_last=1), quiet=True, **made()).folder
    with pytest.raises(InputError, match="was written within an epoch, where this training loader cannot start"):
        fit(config(epochs=3, resume=str(folder)), quiet=True, **made())


def test_a_loss_that_is_not_finite_names_its_layer(config):
    objects = made(loaders={"train": [(torch.full((4, FEATURES), float("nan")), torch.zeros(4, dtype=torch.int64))]})
    with pytest.raises(InputError, match="first not finite: "):
        fit(config(), quiet=True, **objects)


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


def test_a_rate_in_a_tensor_is_a_number_in_the_figures(config):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=torch.tensor(0.5))
    result = fit(config(epochs=1), quiet=True, **made(net=net, optimizer=optimizer, scheduler=None))
    assert result.history[0]["lr"] == 0.5


def test_a_mask_of_minus_infinity_is_no_diverged_weight(config):
    class Masked(Net):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.full((T, T), -torch.inf).triu(1))

    assert len(fit(config(epochs=1), quiet=True, **made(net=Masked(), optimizer=None, scheduler=None)).history) == 1


def test_the_average_counts_a_shared_weight_once(config):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first = nn.Linear(FEATURES, CLASSES)
            self.second = self.first

        def forward(self, x):
            return self.second(x)

    before = Tied().first.weight.detach()
    objects = made(net=Tied(), optimizer=None, scheduler=None)
    content = read_checkpoint(fit(config(ema=0.9, max_steps=1), quiet=True, **objects).folder / LAST)
    assert_close(content["net"]["first.weight"], 0.9 * before + 0.1 * content["net_raw"]["first.weight"])


def test_the_network_has_its_number_of_steps_again_after_the_stages(config):
    net = clif.wrap(nn.Sequential(nn.Linear(FEATURES, 8), clif.CLIFNode(), nn.Linear(8, CLASSES)), T=3)
    fit(config(epochs=1, T_stages="1:2"), quiet=True, **made(net=net, optimizer=None, scheduler=None))
    assert net.T == 3


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


def test_the_gradient_window_is_that_of_the_options(config):
    first, second = (
        fit(config(epochs=1, gradient_window=k, log_grad_norm=True), quiet=True, **made(optimizer=None, scheduler=None))
        for k in (0, 1)
    )
    assert first.history[0]["train_grad_norm_mean"] != second.history[0]["train_grad_norm_mean"]


def test_the_gradient_window_ends_with_the_run(config):
    net = Net()
    fit(config(epochs=1, gradient_window=1), quiet=True, **made(net=net, optimizer=None, scheduler=None))
    assert net.layers[2].gradient_window is None


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


def test_an_evaluation_says_that_the_training_had_other_data(config, caplog, tiny_cifar10):
    loaders = {"train": [(torch.rand(4, 3, 32, 32), torch.arange(4))]}
    folder = fit(config(epochs=1), quiet=True, loaders=loaders).folder
    evaluate_checkpoint(folder, {})
    assert "was trained on your own loaders; its options name the data cifar10" in caplog.text
    caplog.clear()
    evaluate_checkpoint(folder, {"dataset": "cifar10", "data_dir": str(tiny_cifar10)})
    assert "your own loaders" not in caplog.text


def test_parameters_that_the_optimiser_does_not_have_keep_no_gradient(config):
    net = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    objects = {"net": net, "loaders": {"train": [data().tensors]}, "optimizer": torch.optim.SGD([net[2].weight], 0.0)}
    rows = fit(config(epochs=3, log_grad_norm=True, loss="CE"), quiet=True, **objects).history
    assert len({row["train_grad_norm_max"] for row in rows}) == 1


def test_a_run_that_is_tested_at_its_end_stops_early_by_the_validation_set(config):
    objects = made(net=Net(), optimizer=None, scheduler=None)
    objects["loaders"]["val"] = objects["loaders"]["test"]
    result = fit(config(epochs=9, test_at_end=True, early_stop=1, lr=1e-12), quiet=True, **objects)
    assert len(result.history) < 9
    assert ["test_top1" in row for row in result.history] == [False] * (len(result.history) - 1) + [True]


@pytest.mark.filterwarnings("ignore:bfloat16 is slow here")
def test_a_loss_gets_logits_in_float32_under_mixed_precision(config):
    seen = set()

    def loss(logits, labels):
        seen.add(logits.dtype)
        return nn_loss(logits, labels)

    fit(config(epochs=1, amp=True, amp_dtype="bfloat16"), quiet=True, **made(loss=loss))
    assert seen == {torch.float32}


class Weighted(nn.Module):
    """A loss that learns a weight for each class and counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(CLASSES))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, logits, labels):
        self.calls += 1
        return nn_loss(logits * self.weight, labels) + 0.01 * self.calls


def test_a_loss_with_a_state_resumes_to_the_same_bits(config, tmp_path, monkeypatch):
    def objects():
        torch.manual_seed(1)
        net, loss = Net(), Weighted()
        optimizer = torch.optim.SGD([*net.parameters(), *loss.parameters()], lr=0.1)
        return made(net=net, loss=loss, optimizer=optimizer, scheduler=None)

    assert_resumes(config, tmp_path, monkeypatch, 12, objects, epochs=4)


def test_parameters_of_a_loss_that_nothing_trains_are_named(config, caplog):
    fit(config(epochs=1), quiet=True, **made(loss=Weighted()))
    assert "the loss Weighted has parameters that the optimiser does not train (weight)" in caplog.text
    caplog.clear()
    fit(config(epochs=1), quiet=True, **made(loss=Weighted().requires_grad_(False)))
    assert "does not train" not in caplog.text


def test_a_report_names_the_objects_of_a_run(config):
    run = open_run(fit(config(epochs=1), quiet=True, **made()).folder)
    named = {option: run.config[option] for option in ("model", "neuron", "dataset", "opt", "lr_scheduler", "loss")}
    assert named == {
        "model": "Net",
        "neuron": "CLIF",
        "dataset": "own",
        "opt": "RMSprop",
        "lr_scheduler": "ExponentialLR",
        "loss": "nn_loss",
    }
    run = open_run(
        fit(config(epochs=1), quiet=True, loaders=made()["loaders"], net=nn.Linear(FEATURES, CLASSES)).folder
    )
    assert [run.config[option] for option in ("model", "neuron", "opt")] == ["Linear", "", "SGD"]


def test_a_sequence_for_neurons_in_single_step_mode_is_refused_in_training(config):
    net = Net()
    clif.set_step_mode(net, "s")
    net.layers[1] = nn.Identity()
    objects = {"net": net, "loaders": {"train": DataLoader(data(), 6)}}
    with pytest.raises(InputError, match="the neurons of Net are in single-step mode and took a sequence for one step"):
        fit(config(epochs=1), quiet=True, **objects)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_samples_get_the_dtype_of_the_weights(config, dtype):
    x, y = data().tensors
    rows = [
        fit(config(epochs=1), quiet=True, **made(loaders={"train": [(given, y)], "test": [(given, y)]})).history[0]
        for given in (x.to(dtype), x.to(dtype).float())
    ]
    assert rows[0]["train_loss"] == rows[1]["train_loss"]


def test_stages_of_time_steps_need_samples_without_time(config):
    net = clif.wrap(nn.Sequential(nn.Linear(FEATURES, 8), clif.CLIFNode(), nn.Linear(8, CLASSES)), T=3)
    x, y = data().tensors
    objects = {"net": net, "loaders": {"train": [(x.expand(T, *x.shape), y)]}}
    with pytest.raises(InputError, match=r"T_stages is for samples without time, got a sequence \[3, 20, 6\]"):
        fit(config(epochs=2, T_stages="1:1"), quiet=True, **objects)


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
    fit(config(epochs=4), quiet=True, **same)
    start = config(epochs=5).run_folder(model="Net", neuron="", dataset="own") / "checkpoint_epoch0003_step000000.pth"
    again = objects() if made_again else same
    result = fit(config(epochs=5, resume=str(start)), quiet=True, **again)
    assert [row["lr"] for row in result.history] == [row["lr"] for row in whole.history]


def test_constants_that_were_set_on_neurons_are_in_the_checkpoint(config):
    net = clif.models.create_model("snn4", T=2, num_classes=CLASSES, image_size=8, in_channels=1)
    net.features[0].act.v_threshold = 0.5
    batch = (torch.rand(4, 1, 8, 8), torch.arange(4) % CLASSES)
    folder = fit(config(epochs=1), quiet=True, net=net, loaders={"train": [batch]}).folder
    assert [layer.act.v_threshold for layer in clif.load(folder).features[:2]] == [0.5, 1.0]
