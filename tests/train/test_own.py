"""Runs with the user's own objects: training, figures and reports."""

import copy

import pytest
import torch
from own_objects import CLASSES, FEATURES, N, Net, T, data, made, nn_loss
from runs import LAST
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.testing import assert_close
from torch.utils.data import DataLoader

import clif
from clif import layers
from clif.errors import InputError
from clif.report.runs import open_run
from clif.train import Callback, fit
from clif.train.checkpoint import read_checkpoint
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


PLATEAU = {"factor": 0.5, "patience": 0, "threshold": 0.05}


@pytest.mark.parametrize(
    ("mode", "part", "measure"), [("min", "val", "loss"), ("max", "val", "top1"), ("min", "train", "loss")]
)
def test_a_schedule_by_plateau_gets_the_figures_of_the_epoch_and_resumes(config, mode, part, measure):
    def objects(**changed):
        torch.manual_seed(1)
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), 0.1)
        scheduler = ReduceLROnPlateau(optimizer, mode, **{**PLATEAU, **changed})
        loaders = {name: DataLoader(data(seed), 6) for seed, name in enumerate(("train", "test", part))}
        return made(net=net, optimizer=optimizer, scheduler=scheduler, loaders=loaders)

    def rates_of(rows, **changed):
        by_hand = torch.optim.Adam([torch.zeros(1)], 0.1)
        scheduler = ReduceLROnPlateau(by_hand, mode, **{**PLATEAU, **changed})
        rates = []
        for row in rows:
            rates.append(by_hand.param_groups[0]["lr"])
            scheduler.step(row[f"{part}_{measure}"])
        return rates

    def rates_in(rows):
        return [row["lr"] for row in rows]

    whole = fit(config(epochs=8), True, **objects())
    assert rates_in(whole.history) == rates_of(whole.history)
    assert len(set(rates_in(whole.history))) > 1
    last = str(fit(config(epochs=4, name="part"), True, **objects()).folder / LAST)
    again = fit(config(epochs=8, name="part", resume=last), True, **objects())
    assert rates_in(again.history) == rates_in(whole.history)
    last = str(fit(config(epochs=4, name="other"), True, **objects()).folder / LAST)
    other = fit(config(epochs=8, name="other", resume=last), True, **objects(factor=0.1))
    assert rates_in(other.history[4:]) == rates_of(other.history, factor=0.1)[4:]


def test_a_network_without_time_gives_logits_of_one_step(config):
    net = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    loaders = {"train": [tuple(data().tensors)], "val": DataLoader(data(), 8)}
    options = {"opt": "Adam", "lr": 0.05, "lr_scheduler": "StepLR", "loss": "CE"}
    result = fit(config(epochs=30, T_max=30, **options), quiet=True, net=net, loaders=loaders)
    assert result.history[-1]["val_top1"] > 0.9
    assert result.summary["best_chosen_on"] == "val"


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


def test_a_loss_that_is_not_finite_names_its_layer(config):
    objects = made(loaders={"train": [(torch.full((4, FEATURES), float("nan")), torch.zeros(4, dtype=torch.int64))]})
    with pytest.raises(InputError, match="first not finite: "):
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_samples_get_the_dtype_of_the_weights(config, dtype):
    x, y = data().tensors
    rows = [
        fit(config(epochs=1), quiet=True, **made(loaders={"train": [(given, y)], "test": [(given, y)]})).history[0]
        for given in (x.to(dtype), x.to(dtype).float())
    ]
    assert rows[0]["train_loss"] == rows[1]["train_loss"]


def test_constants_that_were_set_on_neurons_are_in_the_checkpoint(config):
    net = clif.models.create_model("snn4", T=2, num_classes=CLASSES, image_size=8, in_channels=1)
    net.features[0].act.v_threshold = 0.5
    batch = (torch.rand(4, 1, 8, 8), torch.arange(4) % CLASSES)
    folder = fit(config(epochs=1), quiet=True, net=net, loaders={"train": [batch]}).folder
    assert [layer.act.v_threshold for layer in clif.load(folder).features[:2]] == [0.5, 1.0]


def run_of_a_network(config, change):
    """A network of clif that was changed by hand, and the folder of its run of one step."""
    net = clif.models.create_model("snn5_noAP", "LIF", T=2, v_threshold=0.5)
    change(net.features[1])
    return net, fit(config(max_steps=1), True, net=net).folder


def test_options_set_by_hand_are_in_the_checkpoint(config):
    net, folder = run_of_a_network(config, lambda layer: setattr(layer.act, "decay_input", True))
    assert [layer.act.decay_input for layer in clif.load(folder).features[:3]] == [False, True, False]
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(clif.load(folder)(x), net.eval()(x))


def test_only_your_code_can_create_a_network_with_a_replaced_neuron(config, caplog):
    net, folder = run_of_a_network(config, lambda layer: setattr(layer, "act", clif.CLIFNode(step_mode="m")))
    assert "features.1.act is now CLIFNode; a file cannot describe it" in caplog.text
    with pytest.raises(InputError, match="holds your own network, which only your code can create"):
        clif.load(folder)
    assert clif.load(folder, net=net) is net


def test_a_surrogate_that_a_checkpoint_cannot_name_is_a_warning_of_the_run(config, caplog):
    run_of_a_network(config, lambda layer: setattr(layer.act, "surrogate_function", lambda x: (x >= 0).to(x) + 0 * x))
    assert "the surrogate <lambda> of features.1.act has no name, so the file stores rectangle" in caplog.text
