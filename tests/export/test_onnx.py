"""ONNX files and torch.export programs compute what the network computes, for any batch size."""

import io
import logging

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.deploy import clif_to_lif, exact_sums, fold_batch_norm
from clif.errors import InputError
from clif.export import initial_state, save_program, signature, to_onnx, to_program
from clif.models import create_model
from clif.names import neuron_names
from clif.train.checkpoint import save_checkpoint

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

OTHERS = [name for name in neuron_names() if name not in ("CLIF", "LIF", "GLIF", "ReLU")]


def session(path):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def axes(values):
    """The names and sizes of the axes of each value of a model's graph."""
    return [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values]


@pytest.mark.parametrize(
    "neuron", ["CLIF", "LIF", "GLIF", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
@torch.no_grad()
def test_onnx_runtime_gives_the_same_logits_for_any_batch(exact_network, exact_input, tmp_path, neuron):
    net = exact_network(neuron)
    run = session(to_onnx(net, tmp_path / "net.onnx"))
    for images in (exact_input[0], exact_input[1, :1], exact_input.flatten(0, 1)):
        (logits,) = run.run(["logits"], {"x": images.numpy()})
        np.testing.assert_allclose(logits, net(images).numpy(), atol=1e-6)
    model = onnx.load(tmp_path / "net.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    onnx.checker.check_model(model)
    assert axes(model.graph.input) == [["batch", *exact_input.shape[2:]]]
    assert axes(model.graph.output) == [[net.T, "batch", logits.shape[-1]]]


@torch.no_grad()
def test_a_sequence_is_taken_whole(exact_network, exact_input, tmp_path):
    net = exact_network("CLIF")
    run = session(to_onnx(net, tmp_path / "net.onnx", "sequence"))
    (logits,) = run.run(None, {"x": exact_input.numpy()})
    assert [value.shape[:2] for value in (*run.get_inputs(), *run.get_outputs())] == [[net.T, "batch"]] * 2
    np.testing.assert_allclose(logits, net(exact_input).numpy(), atol=1e-6)


@pytest.mark.parametrize(("neuron", "options"), [("CLIF", {}), ("LIF", {"v_reset": -0.25})])
@torch.no_grad()
def test_a_step_takes_and_gives_its_states(exact_network, exact_input, tmp_path, neuron, options):
    net = exact_network(neuron, **options)
    run = session(to_onnx(net, tmp_path / "net.onnx", "step"))
    names = signature(net, "step")
    assert [i.name for i in run.get_inputs()] == names.inputs
    assert [o.name for o in run.get_outputs()] == names.outputs
    assert {value.shape[0] for value in (*run.get_inputs(), *run.get_outputs())} == {"batch"}
    states = {name: value.numpy() for name, value in initial_state(net, 3).items()}
    assert {float(value.flat[0]) for name, value in states.items() if name.endswith(".v")} == {
        options.get("v_reset", 0)
    }
    step = net.stream()
    for x in exact_input:
        found = dict(zip(names.outputs, run.run(None, {"x": x.numpy(), **states}), strict=True))
        np.testing.assert_allclose(found["logits"], step(x).numpy(), atol=1e-6)
        states = {name: found[f"{name}.next"] for name in states}


@pytest.mark.parametrize("write", [to_onnx, save_program])
def test_an_export_is_silent(exact_network, tmp_path, capfd, write):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "torch.export", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        write(exact_network("CLIF"), tmp_path / "net")
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert [record.getMessage() for record in records] == []
    assert capfd.readouterr() == ("", "")
    assert [logger.level for logger in loggers] == levels


@torch.no_grad()
def test_a_program_is_saved_and_loaded(exact_network, exact_input, tmp_path):
    net = exact_network("CLIF")
    path = save_program(net, tmp_path / "net.pt2")
    program = torch.export.load(io.BytesIO(path.read_bytes()))
    assert_close(program.module()(exact_input[0]), net(exact_input[0]), rtol=0, atol=1e-6)
    assert_close(program.module()(exact_input[1, :1]), net(exact_input[1, :1]), rtol=0, atol=1e-6)
    assert not any("clif" in str(node.target) for node in program.graph.nodes if node.op == "call_function")


def test_the_network_is_left_alone(exact_network):
    net = exact_network("CLIF").train()
    to_program(net)
    assert net.training
    assert {node.backend for node in net.modules() if isinstance(node, clif.CLIFNode)} == {"auto"}
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_an_unknown_form_is_refused(exact_network):
    with pytest.raises(InputError, match="form must be one of image, sequence, step, got 'frames'"):
        to_program(exact_network("CLIF"), "frames")


@pytest.mark.parametrize(("kind", "name"), [("torch", "network.pt2"), ("nir", "network.nir")])
def test_the_command_writes_a_file(tmp_path, capsys, kind, name):
    net = clif_to_lif(create_model("snn5_noAP", "CLIF", T=2), 0.0)
    save_checkpoint(tmp_path / "c.pth", {"net": net.state_dict(), "model": net.config, "config": {"dataset": "digits"}})
    assert main(["export", str(tmp_path / "c.pth"), "-format", kind]) == 0
    assert (tmp_path / name).stat().st_size > 1_000_000
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-format", "tflite"], "unknown format 'tflite'"),
        (["-format", "nir", "-form", "step"], "--form needs"),
        (["-format", "onnx", "-dt", "1e-3"], "--dt needs --format nir"),
        (["-format", "nir", "-exact"], "--exact needs --format onnx or torch"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, capsys, given, message):
    assert main(["export", str(tmp_path / "c.pth"), *given]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.export
@pytest.mark.slow
@pytest.mark.parametrize("name", ["spiking_vgg11_bn", "spiking_resnet18", "vggsnn"])
@pytest.mark.parametrize("form", ["image", "step"])
@torch.no_grad()
def test_large_networks(tmp_path, name, form):
    net = create_model(name, "CLIF", T=2).eval()
    run = session(to_onnx(net, tmp_path / "net.onnx", form))
    x = torch.randn(3, 3, 32, 32)
    states = {key: value.numpy() for key, value in initial_state(net, 3).items()} if form == "step" else {}
    logits = run.run(["logits"], {"x": x.numpy(), **states})[0]
    expected = net(x) if form == "image" else net.stream()(x)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


@pytest.mark.export
@pytest.mark.slow
def test_a_trained_network_predicts_the_same_on_all_test_digits(tmp_path):
    from clif.train.config import resolve
    from clif.train.loop import fit

    result = fit(resolve("digits", epochs=2, T_max=2, out_dir=str(tmp_path / "logs")), quiet=True)
    net = clif.load(result.folder)
    test = clif.data.create_loader("digits", train=False, batch_size=90, T=net.T)
    for form in ("image", "step"):
        run = session(to_onnx(net, tmp_path / f"{form}.onnx", form))
        for images, _ in test:
            if form == "image":
                logits = run.run(None, {"x": images.numpy()})[0].mean(0)
            else:
                states = {key: value.numpy() for key, value in initial_state(net, len(images)).items()}
                logits = np.zeros((len(images), 10))
                for _ in range(net.T):
                    step, *after = run.run(None, {"x": images.numpy(), **states})
                    states = dict(zip(states, after, strict=True))
                    logits += step
            with torch.no_grad():
                expected = net(images).mean(0).argmax(-1).numpy()
            assert (logits.argmax(-1) == expected).all()


@torch.no_grad()
def test_the_command_makes_sums_exact(tmp_path):
    net = create_model("snn5_noAP", "CLIF", T=2)
    save_checkpoint(tmp_path / "c.pth", {"net": net.state_dict(), "model": net.config, "config": {"dataset": "digits"}})
    assert main(["export", str(tmp_path / "c.pth"), "-format", "torch", "-exact"]) == 0
    program = torch.export.load(tmp_path / "network.pt2").module()
    images = (torch.randn(2, 3, 32, 32) * 128).round() / 128
    assert torch.equal(program(images), program(images + 1e-3))
    assert_close(program(images), exact_sums(net.eval())(images))


@pytest.mark.parametrize(
    "convert",
    [
        lambda net: net,
        *(
            pytest.param(to_lif, marks=pytest.mark.slow)
            for to_lif in (lambda net: clif_to_lif(net, v_reset=0.0), clif_to_lif)
        ),
    ],
    ids=["CLIF", "hard reset", "soft reset"],
)
@torch.no_grad()
def test_exact_sums_fire_the_same_spikes(convert, tmp_path):
    """If tenths add up to the threshold, the order of the sum decides in a network whose sums are not exact."""
    torch.manual_seed(3)
    net = create_model("snn5_noAP", "CLIF", T=4).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.copy_(torch.randint(-3, 4, module.weight.shape) / 10)
            module.bias.zero_()
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(1 - module.eps)
    net = convert(net)
    images = torch.randint(-2, 3, (40, 3, 32, 32)) / 2
    differing = []
    for network in (fold_batch_norm(net), exact_sums(net)):
        run = session(to_onnx(network, tmp_path / "net.onnx"))
        (logits,) = run.run(["logits"], {"x": images.numpy()})
        differing.append((torch.from_numpy(logits) - network(images)).abs().amax((0, 2)) > 1e-4)
    plain, exact = (int(images.sum()) for images in differing)
    assert plain > 0
    assert exact == 0
