"""The fitted conversions: changes, results and refusals."""

import copy
import csv
import json
import sys

import pytest
import torch
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.deploy import METHODS, calibrate, clif_to_lif, convert, deploy_checkpoint, finetune, subtract
from clif.deploy.fit import count_errors, divergence, take_images
from clif.errors import InputError
from clif.models import create_model
from clif.neurons import exchange_neurons
from clif.train.checkpoint import build_network
from clif.trained_network import evaluate_checkpoint

IMAGES = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(9))
LABELS = torch.zeros(2, dtype=torch.int64)
LOADER = [(IMAGES[:16], torch.zeros(16, dtype=torch.int64)), (IMAGES[16:], torch.zeros(8, dtype=torch.int64))]


@pytest.fixture(scope="module")
def fitted():
    """A firing CLIF network and its conversions on 24 images."""
    torch.manual_seed(3)
    net = create_model("snn5_noAP", "CLIF", T=4)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 1, 2)
            torch.nn.init.uniform_(module.bias, -0.1, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.3, 0.6)
    net.eval()
    return net, {method: convert(net, method, LOADER, images=24) for method in ("calibrate", "subtract")}


def _count_error(net, lif) -> float:
    """Squared differences of the numbers of spikes, summed over all neurons and images."""
    layers = [name for name, module in net.named_modules() if isinstance(module, clif.CLIFNode)]
    errors = [count_errors(net, lif, layer, [IMAGES], [0.0], lambda node, x, _: _run(node, x)) for layer in layers]
    return sum(error.sum().item() for error in errors)


def _run(node, x_seq):
    return clif.functional.lif_multi_step(x_seq, **node.constants())[0]


@pytest.mark.parametrize(
    "option",
    [{"epochs": 0}, {"epochs": 1.5}, {"lr": 0.0}, {"lr": float("nan")}, {"lr": "1"}, {"labels": -1.0}, {"labels": "1"}],
)
def test_fine_tuning_refuses_its_options_before_the_fit(fitted, option, monkeypatch):
    def fit(_net, _batches):
        raise AssertionError

    monkeypatch.setattr("clif.deploy.methods.STARTS", {"subtract": (fit, 3e-5)})
    with pytest.raises(InputError, match="fine-tuning needs a whole number of epochs ≥ 1, lr > 0 and labels ≥ 0"):
        convert(fitted[0], "finetune", LOADER, images=24, **option)


@pytest.mark.parametrize("method", ["calibrate", "subtract"])
def test_a_fitted_network_fires_as_the_source_does_more_nearly_than_one_with_a_plain_reset(fitted, method):
    net, conversions = fitted
    plain = [_count_error(net, clif_to_lif(net, v_reset)) for v_reset in (None, 0.0)]
    assert _count_error(net, conversions[method].net) < 0.7 * min(plain)


def test_calibration_leaves_plain_neurons_and_touches_batch_norms_only(fitted):
    net, conversions = fitted
    lif = conversions["calibrate"].net
    nodes = [module for module in lif.modules() if isinstance(module, clif.LIFNode)]
    assert {(node.v_threshold, node.v_reset, node.v_subtract) for node in nodes} == {(1.0, 0.0, None)}
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, lif.state_dict()[key])}
    assert changed == {f"features.{i}.fwd.1.{name}" for i in range(5) for name in ("weight", "bias")}
    for i, resets in enumerate(conversions["calibrate"].values.values()):
        norm, was = lif.features[i].fwd[1], net.features[i].fwd[1]
        assert len(resets) == len(norm.weight)
        assert_close(norm.weight, was.weight / (1 - torch.tensor(resets)), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_a_gain_is_the_hard_reset_that_it_stands_for(fitted):
    net, _ = fitted
    lif = calibrate(net, [IMAGES], per="layer", resets=(-0.25,), joint_epochs=0)
    assert set(map(tuple, lif.values.values())) == {(-0.25,)}
    assert_close(
        lif.net.double()(IMAGES.double()), clif_to_lif(net, -0.25).double()(IMAGES.double()), rtol=0, atol=1e-6
    )


def test_subtraction_is_a_constant_of_each_layer_and_reloads(fitted):
    net, conversions = fitted
    lif = conversions["subtract"].net
    assert_close(dict(lif.state_dict()), dict(net.state_dict()), rtol=0, atol=0)
    options = lif.config["layer_options"]
    for name, values in conversions["subtract"].values.items():
        assert options[name] == {"v_subtract": 1 + values[0]}
        assert lif.get_submodule(name).v_subtract == 1 + values[0]
    again = build_network({"net": lif.state_dict(), "model": lif.config}, "here").eval()
    with torch.no_grad():
        assert_close(again(IMAGES), lif(IMAGES), rtol=0, atol=0)


@pytest.mark.parametrize("v_reset", [None, -0.1])
def test_one_reset_for_all_layers_replaces_the_subtraction_of_each(fitted, v_reset):
    lif = clif_to_lif(fitted[1]["subtract"].net, v_reset)
    again = build_network({"net": lif.state_dict(), "model": lif.config}, "here").eval()
    with torch.no_grad():
        assert_close(again(IMAGES), lif(IMAGES), rtol=0, atol=0)
        assert_close(lif(IMAGES), clif_to_lif(fitted[0], v_reset)(IMAGES), rtol=0, atol=0)


def test_neurons_exchanged_for_the_same_kind_keep_their_subtraction(fitted):
    lif = copy.deepcopy(fitted[1]["subtract"].net)
    with torch.no_grad():
        before = lif(IMAGES)
        exchange_neurons(lif, "LIF")
        assert_close(lif(IMAGES), before, rtol=0, atol=0)
    exchange_neurons(lif, "CLIF")
    assert build_network({"net": lif.state_dict(), "model": lif.config}, "here").config["neuron"] == "CLIF"


def test_one_subtraction_for_all_layers(fitted):
    net, _ = fitted
    values = subtract(net, [IMAGES], per="network", extras=(0.0, 0.8)).values
    assert set(map(tuple, values.values())) == {(0.8,)}


def test_a_fit_is_the_same_again_and_leaves_the_network_alone(fitted):
    net, conversions = fitted
    before = {key: value.clone() for key, value in net.state_dict().items()}
    again = convert(net, "calibrate", LOADER, images=24).net
    assert_close(dict(again.state_dict()), dict(conversions["calibrate"].net.state_dict()), rtol=0, atol=0)
    assert_close(dict(net.state_dict()), before, rtol=0, atol=0)
    assert not any(parameter.grad is not None for parameter in net.parameters())


def test_fine_tuning_comes_closer_and_looks_at_no_label(fitted):
    net, conversions = fitted
    options = {"images": 24, "epochs": 4, "lr": 3e-4, "start": "calibrate", "labels": 0.0}
    done = convert(net, "finetune", LOADER, **options)
    others = [(images, torch.full_like(labels, 7)) for images, labels in LOADER]
    again = convert(net, "finetune", others, **options)
    assert_close(dict(again.net.state_dict()), dict(done.net.state_dict()), rtol=0, atol=0)
    assert done.images == 24 + 2 * 24 + 4 * (24 + 24)  # fitted; judged at the start; four passes, judged after each
    answers = [net(IMAGES)]
    assert divergence(done.net, [IMAGES], answers) < divergence(conversions["calibrate"].net, [IMAGES], answers)
    assert {node.v_reset for node in done.net.modules() if isinstance(node, clif.LIFNode)} == {0.0}


@pytest.mark.parametrize("start", ["calibrate", "subtract"])
def test_fine_tuning_never_leads_away_from_the_teacher(fitted, start):
    """With a learning rate that spoils the network it keeps the start; `start` names it."""
    net, conversions = fitted
    begun = conversions[start]
    done = convert(net, "finetune", LOADER, images=24, lr=10.0, start=start, labels=0.0)
    assert_close(dict(done.net.state_dict()), dict(begun.net.state_dict()), rtol=0, atol=0)


def test_fine_tuning_leaves_frozen_weights_alone(fitted):
    net = copy.deepcopy(fitted[0])
    net.features[0].requires_grad_(False)
    net.features[1].fwd[0].weight.requires_grad = False
    lif = clif_to_lif(net, v_reset=0.0)
    tuned, _ = finetune(net, lif, LOADER, choice=[], lr=1e-3)
    before, after = dict(lif.named_parameters()), dict(tuned.named_parameters())
    same = {name for name in before if torch.equal(before[name], after[name])}
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert same == frozen == {name for name, parameter in after.items() if not parameter.requires_grad}
    with pytest.raises(InputError, match="every parameter of the network is frozen"):
        finetune(net, lif.requires_grad_(False), LOADER, choice=[], lr=1e-3)


def test_fine_tuning_with_labels_learns_them(fitted):
    net, conversions = fitted
    loader = [(images, torch.full_like(labels, 7)) for images, labels in LOADER]
    done = convert(net, "finetune", loader, images=24, epochs=8, lr=1e-3)
    assert done.images == 24 + 8 * 24
    with torch.no_grad():
        before, after = (lif(IMAGES).mean(0).softmax(1)[:, 7].mean() for lif in (conversions["subtract"].net, done.net))
    assert after > before + 0.2


def test_fine_tuning_keeps_the_best_weights_on_the_way(fitted, monkeypatch):
    """Fine-tuning keeps the weights with the smallest divergence, which occur in the middle of this training."""
    net, _ = fitted
    judged = iter([0.5, 0.4, 0.1, 0.3, 0.2])
    students = []

    def divergence(student, *_):
        students.append(copy.deepcopy(student.state_dict()))
        return next(judged)

    monkeypatch.setattr(sys.modules["clif.deploy.finetune"], "divergence", divergence)
    done = convert(net, "finetune", LOADER, images=24, epochs=4, labels=0.0)
    assert_close(dict(done.net.state_dict()), dict(students[2]), rtol=0, atol=0)
    assert not torch.equal(students[2]["classifier.weight"], students[4]["classifier.weight"])


@torch.no_grad()
def test_divergence_is_that_of_the_probabilities_over_all_images(fitted):
    net, conversions = fitted
    wanted = net(IMAGES)
    assert divergence(net, [IMAGES], [wanted]) == pytest.approx(0, abs=1e-6)
    lif = conversions["calibrate"].net
    p, q = (logits.double().mean(0).softmax(1) for logits in (wanted, lif(IMAGES)))
    expected = (p * (p / q).log()).sum(1).mean().item()
    assert divergence(lif, IMAGES.split(10), wanted.split(10, 1)) == pytest.approx(expected, rel=1e-4)


def test_event_frames_are_taken_along_their_batch_axis():
    frames = torch.zeros(5, 8, 2, 4, 4)
    assert [tuple(x.shape) for x in take_images([(frames, None), (frames, None)], 11)] == [
        (5, 8, 2, 4, 4),
        (5, 3, 2, 4, 4),
    ]


@pytest.mark.parametrize("labelled", [lambda x: x, lambda x: [x], lambda x: (x, None, 0)])
@pytest.mark.parametrize("options", [{"method": "subtract"}, {"method": "finetune", "labels": 0.0}], ids=str)
def test_images_without_labels_are_taken(fitted, labelled, options):
    """A batch of two images is not a pair of images and labels."""
    two = IMAGES[:2]
    lif, expected = (clif_to_lif(fitted[0], loader=loader, **options) for loader in ([labelled(two)], [(two, LABELS)]))
    with torch.no_grad():
        assert torch.equal(lif(IMAGES), expected(IMAGES))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (IMAGES[:2], r"pairs of tensors \(x, y\), got Tensor"),
        ({"x": IMAGES[:2]}, "a batch is a tensor, or a tuple that begins with one, got a dict"),
        ((IMAGES[:2], LABELS + 10), "labels of a network of 10 classes are 0 to 9, got 10 to 10"),
        ((IMAGES[:2], LABELS[:1]), "1 labels for a batch of 2 samples"),
        ((IMAGES[:2], LABELS.int()), r"labels must be int64, got torch.int32"),
        ((IMAGES[:0], LABELS[:0]), "the loader is empty"),
    ],
)
def test_fine_tuning_refuses_labels_that_do_not_fit(fitted, batch, message):
    with pytest.raises(InputError, match=message):
        clif_to_lif(fitted[0], method="finetune", loader=[batch])


def test_values_to_choose_from_may_be_an_array(fitted):
    lif = clif_to_lif(fitted[0], method="subtract", loader=LOADER, extras=torch.tensor([0.5, 0.75]))
    assert {lif.get_submodule(layer).v_subtract for layer in fitted[1]["subtract"].values} <= {1.5, 1.75}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "calibrat"}, "did you mean calibrate"),
        ({"method": "calibrate"}, "give loader="),
        ({"loader": LOADER}, "give its method"),
        ({"method": "calibrate", "loader": LOADER, "v_reset": 0.0}, "either v_reset or method"),
        ({"method": "calibrate", "loader": LOADER, "per": "neuron"}, "per must be"),
        ({"method": "calibrate", "loader": LOADER, "resets": (1.0,)}, "must be below 1"),
        ({"method": "calibrate", "loader": LOADER, "resets": (0.0, float("nan"))}, "must be below 1"),
        ({"method": "calibrate", "loader": LOADER, "resets": (0.0, float("-inf"))}, "must be below 1"),
        ({"method": "calibrate", "loader": LOADER, "resets": -0.1}, "must be below 1"),
        ({"method": "calibrate", "loader": LOADER, "joint_epochs": 1.5}, "joint_epochs must be a whole number"),
        ({"method": "calibrate", "loader": LOADER, "joint_epochs": -1}, "joint_epochs must be a whole number"),
        ({"method": "subtract", "loader": LOADER, "extras": ()}, "extras must be"),
        ({"method": "subtract", "loader": LOADER, "extras": ["a"]}, "extras must be"),
        ({"method": "calibrate", "loader": LOADER, "images": 0}, "a whole number of images, at least 1"),
        ({"method": "subtract", "loader": LOADER, "images": 2.5}, "a whole number of images, at least 1"),
        ({"method": "subtract", "loader": []}, "the loader is empty"),
        ({"method": "finetune", "loader": LOADER, "epochs": 0, "images": 1}, "epochs ≥ 1"),
        ({"method": "finetune", "loader": LOADER, "labels": -1.0, "images": 1}, "labels ≥ 0"),
        ({"method": "finetune", "loader": LOADER, "start": "sweep"}, "start of the fine-tuning"),
        ({"method": "sweep", "loader": LOADER, "v_resets": ()}, "v_resets is empty"),
        ({"method": "sweep", "loader": LOADER, "v_resets": -0.1}, "v_resets must be a sequence"),
    ],
)
def test_mistakes_are_input_errors(fitted, arguments, message):
    with pytest.raises(InputError, match=message):
        clif_to_lif(fitted[0], **arguments)


def test_a_layer_constant_that_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="unknown spiking layer"):
        create_model("snn5_noAP", "LIF", layer_options={"features.9.act": {"v_subtract": 1.8}})
    with pytest.raises(InputError, match="unknown constant"):
        create_model("snn5_noAP", "LIF", layer_options={"features.0.act": {"step_mode": 1.0}})
    with pytest.raises(InputError, match="v_reset must be"):
        create_model("snn5_noAP", "LIF", layer_options={"features.0.act": {"v_reset": 3.0}})
    with pytest.raises(InputError, match="unknown constant"):
        create_model("snn5_noAP", "PLIF", layer_options={"features.0.act": {"tau": 3.0}})
    with pytest.raises(InputError, match=r"tau of the neuron features\.0\.act must be a number, got 'long'"):
        create_model("snn5_noAP", "LIF", layer_options={"features.0.act": {"tau": "long"}})
    net = create_model("snn5_noAP", "LIF", v_reset=-0.1, layer_options={"features.0.act": {"v_reset": None}})
    assert [net.features[i].act.v_reset for i in (0, 1)] == [None, -0.1]


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_is_deployed_by_each_method(checkpoint, method, tmp_path):
    scratch = checkpoint("LIF").rename(tmp_path / "lif.pth")
    path = checkpoint()
    options = {} if method == "sweep" else {"images": 20}
    result = deploy_checkpoint(path, method=method, scratch=scratch, **options)
    assert [row.name for row in result.judged] == ["as trained", "LIF from scratch", method]
    assert result.judged[0].agreement == 1.0
    assert result.judged[0].top1 == result.source.top1
    assert result.conversion.seconds > 0
    again = evaluate_checkpoint(result.checkpoint, {}).scores
    assert again.top1 == result.judged[2].top1
    report = json.loads((result.folder / "deploy.json").read_text())
    assert report["method"] == method
    assert [row["agreement"] for row in report["networks"]] == [row.agreement for row in result.judged]
    with (result.folder / "networks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[2]["rate features.4.act"]) == result.judged[2].firing_rates["features.4.act"]
    assert (result.folder / "deploy.csv").exists() == (method == "sweep")


def test_the_command_line_converts(checkpoint, capsys):
    path = checkpoint()
    assert main(["deploy", str(path), "--method", "subtract", "-images", "10", "-per", "network"]) == 0
    out = capsys.readouterr().out
    assert "converted by subtract on 10 training images" in out
    assert "features.4.act: soft reset by v_threshold · (1 + c), c = " in out
    assert (path.parent / "deploy_subtract" / "checkpoint_lif.pth").is_file()


def test_an_option_of_another_method_is_refused(checkpoint, capsys):
    assert main(["deploy", str(checkpoint()), "--method", "sweep", "-images", "10"]) == 2
    assert "--images needs --method calibrate or subtract or finetune, got sweep" in capsys.readouterr().err


@pytest.mark.parametrize("method", METHODS)
def test_a_network_in_single_step_mode_is_fitted_as_any_other(firing_network, method):
    loader = [(torch.randn(8, 3, 32, 32), torch.arange(8))]
    found = []
    for step_mode in ("m", "s"):
        net = firing_network()
        clif.set_step_mode(net, step_mode)
        found.append(clif_to_lif(net, method=method, loader=loader))
        assert (net.step_mode, found[-1].step_mode) == (step_mode, step_mode)
    assert_close(found[1].state_dict(), found[0].state_dict())
    assert found[0].config == found[1].config


def test_a_subtraction_keeps_the_other_constants_of_the_layers(firing_network):
    net = firing_network("PLIF").eval()
    for node in net.modules():
        if isinstance(node, clif.PLIFNode):
            torch.nn.init.constant_(node.w, 0.7)
    exchange_neurons(net, "CLIF")
    lif = clif_to_lif(net, method="subtract", loader=LOADER)
    again = build_network({"net": lif.state_dict(), "model": lif.config}, "here").eval()
    assert again.features[0].act.tau == lif.features[0].act.tau != 2.0
    with torch.no_grad():
        assert_close(again(IMAGES), lif(IMAGES), rtol=0, atol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_are_converted_to_the_dtype_of_the_network(firing_network, method, dtype):
    net = firing_network().to(dtype)
    lif = clif_to_lif(net, method=method, loader=LOADER)
    assert next(lif.parameters()).dtype == dtype


@pytest.mark.parametrize("method", METHODS)
def test_each_module_keeps_its_mode(firing_network, method):
    net = firing_network().train()
    net.features[0].fwd[1].eval()
    lif = clif_to_lif(net, method=method, loader=LOADER)
    assert lif.training
    assert not lif.features[0].fwd[1].training


@pytest.mark.parametrize("method", METHODS)
def test_an_option_that_a_method_does_not_have_is_refused(fitted, method):
    with pytest.raises(InputError, match=f"unknown option of the conversion {method} 'input_shape'"):
        clif_to_lif(fitted[0], method=method, loader=LOADER, input_shape=(3, 32, 32))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_fit_computes_its_own_gradients(firing_network, method, mode):
    net = firing_network().eval()
    with mode():
        found = clif_to_lif(net, method=method, loader=LOADER)
    assert_close(dict(found.state_dict()), dict(clif_to_lif(net, method=method, loader=LOADER).state_dict()))
