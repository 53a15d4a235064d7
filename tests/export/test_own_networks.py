"""Export of networks outside of `clif.models`, and of single neurons."""

import numpy as np
import pytest
import torch
from torch import nn

import clif
from clif import export
from clif.errors import InputError

quietly = pytest.mark.filterwarnings("ignore")


def own(*, backend="auto", step_mode="m"):
    torch.manual_seed(0)
    node = clif.CLIFNode(step_mode=step_mode, backend=backend)
    return nn.Sequential(nn.Linear(4, 8), node, nn.Linear(8, 2)).eval()


@pytest.mark.parametrize(
    "door",
    [
        export.to_nir,
        lambda net: export.to_onnx(net, "net.onnx", "step"),
        lambda net: export.to_program(net, "step"),
        lambda net: export.save_program(net, "net.pt2", T=2),
        lambda net: export.initial_state(net, 1),
    ],
)
def test_without_the_shape_of_a_sample_they_are_refused(door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("nir")
    pytest.importorskip("onnxscript")
    net = nn.Sequential(nn.Linear(4, 8), clif.LIFNode(v_reset=0.0), nn.Linear(8, 2))
    with pytest.raises(InputError, match=r"the shape of one sample of this Sequential is not known; give input_shape="):
        door(net)
    assert not list(tmp_path.iterdir())


def test_without_the_number_of_steps_whole_sequences_are_refused():
    with pytest.raises(InputError, match=r"Sequential does not define the number of steps.*give T="):
        export.to_program(own(), input_shape=(4,))


class Small(clif.models.SpikingNetwork):
    def __init__(self):
        super().__init__(T=2, in_channels=1, image_size=8, any_size=False)
        self.conv = clif.layers.Conv2d(1, 4, 3, padding=1)
        self.node = clif.LIFNode(step_mode="m", v_reset=0.0)
        self.flatten = clif.layers.Flatten()
        self.linear = nn.Linear(4 * 64, 3)

    def logits(self, x):
        return self.linear(self.flatten(self.node(self.conv(x))))


@quietly
def test_a_subclass_of_the_networks_works():
    x = torch.rand(2, 1, 8, 8)
    net = Small().eval()
    assert torch.allclose(export.to_program(net).module()(x), net(x), atol=1e-6)
    pytest.importorskip("nir")
    assert "node" in export.to_nir(net).nodes


@quietly
@pytest.mark.parametrize("dynamo", [True, False])
def test_torchs_exporter_takes_own_networks(dynamo, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net, x_seq, path = own(), torch.rand(3, 2, 4) * 3, str(tmp_path / "net.onnx")
    torch.onnx.export(net, (x_seq,), path, dynamo=dynamo, verbose=False)
    clif.reset_net(net)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: x_seq.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(got, net(x_seq).numpy(), atol=1e-5)


@quietly
@pytest.mark.parametrize("dynamo", [True, False])
def test_torchs_exporter_refuses_a_single_step_without_its_state(dynamo, tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(Exception, match="would start at rest at every call"):
        torch.onnx.export(own(step_mode="s"), (torch.rand(2, 4),), tmp_path / "net.onnx", dynamo=dynamo, verbose=False)


@quietly
def test_kernels_by_name_are_no_part_of_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(InputError, match=r'ONNX has no such kernels; backend="auto" or "torch" can'):
        torch.onnx.export(own(backend="cpu"), (torch.rand(3, 2, 4),), tmp_path / "net.onnx", dynamo=False)


def test_the_shape_of_a_sample_can_be_given_to_the_export_of_a_wrapped_network():
    net = clif.wrap(own(), T=2)
    program = export.to_program(net, "step", input_shape=(4,))
    state = export.initial_state(net, 3, input_shape=(4,))
    assert program.module()(torch.rand(3, 4), list(state.values()))[0].shape == (3, 2)
    with pytest.raises(InputError, match="already has its T"):
        export.to_program(net, input_shape=(4,), T=2)
    with pytest.raises(InputError, match="already has its T"):
        export.to_program(clif.wrap(own(), T=2, input_shape=(4,)), input_shape=(4,))


def containers():
    node = clif.LIFNode(v_threshold=0.3)
    return {
        "v": clif.layers.LeakyIntegrator(4.0),
        "y": clif.layers.Recurrent(node, nn.Linear(8, 8, bias=False)),
        "y of LinearRecurrentContainer": clif.layers.LinearRecurrentContainer(node, 8, 8),
        "y of ElementWiseRecurrentContainer": clif.layers.ElementWiseRecurrentContainer(node, torch.add),
    }


@quietly
@pytest.mark.parametrize("state", containers())
@torch.no_grad()
def test_steps_pass_the_states_of_all_layers_on(state):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(v_threshold=0.3), containers()[state], nn.Linear(8, 2)).eval()
    wrapped, x_seq = clif.wrap(net, T=4, input_shape=(4,)), torch.rand(4, 5, 4) * 3
    assert f"2.{state[0]}" in export.signature(wrapped, "step").inputs
    step, states = export.to_program(wrapped, "step").module(), list(export.initial_state(wrapped, 5).values())
    logits = []
    for x in x_seq:
        out, *states = step(x, states)
        logits.append(out)
    torch.testing.assert_close(torch.stack(logits), wrapped(x_seq), rtol=1e-4, atol=1e-5)
    whole = export.to_program(wrapped, "sequence").module()
    torch.testing.assert_close(whole(x_seq), wrapped(x_seq), rtol=1e-4, atol=1e-5)


def test_a_recurrent_container_whose_first_step_differs_has_no_steps():
    net = nn.Sequential(clif.layers.Recurrent(clif.LIFNode(), nn.Linear(4, 4)))
    with pytest.raises(InputError, match=r"the first step of 0, a Recurrent, has no feedback.*without a bias"):
        export.to_program(net, "step", input_shape=(4,))


class Names(nn.Module):
    """Names that are the same without dots, or those of NIR's own nodes."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(4, 6))
        self.input, self.a_0 = clif.LIFNode(v_reset=0.0, v_threshold=0.3), nn.Linear(6, 6)
        self.act, self.output = clif.LIFNode(v_reset=0.0, v_threshold=0.3), nn.Linear(6, 2)

    def forward(self, x):
        return self.output(self.act(self.a_0(self.input(self.a(x)))))


def tied():
    node = {"v_reset": 0.0, "v_threshold": 0.3}
    net = nn.Sequential(nn.Linear(4, 4), clif.LIFNode(**node), nn.Linear(4, 4), clif.LIFNode(**node), nn.Linear(4, 4))
    net[2].weight = net[4].weight = net[0].weight
    return net


@pytest.mark.parametrize("make", [Names, tied])
@torch.no_grad()
def test_nir_keeps_layers_whose_names_or_weights_are_alike(make, tmp_path):
    pytest.importorskip("nir")
    torch.manual_seed(0)
    net, x_seq = make().eval(), torch.rand(4, 5, 4) * 3
    export.to_nir(net, tmp_path / "net.nir", input_shape=(4,))
    expected = clif.wrap(net, T=4, input_shape=(4,))(x_seq)
    torch.testing.assert_close(export.from_nir(tmp_path / "net.nir")(x_seq), expected, rtol=1e-4, atol=1e-5)


class Added(nn.Module):
    """Two results that are added before a neuron."""

    def __init__(self, add):
        super().__init__()
        self.one, self.other, self.node = nn.Linear(4, 4), nn.Linear(4, 4), clif.LIFNode(v_reset=0.0, v_threshold=0.3)
        self.add = add

    def forward(self, x):
        return self.node(self.add(self.one(x), self.other(x)))


@pytest.mark.parametrize("add", [lambda a, b: a.add(b), lambda a, b: a.add_(b), lambda a, b: torch.add(a, b, alpha=1)])
@torch.no_grad()
def test_nir_adds_two_results(add, tmp_path):
    pytest.importorskip("nir")
    net, x_seq = Added(add).eval(), torch.rand(4, 5, 4) * 3
    export.to_nir(net, tmp_path / "net.nir", input_shape=(4,))
    expected = clif.wrap(net, T=4, input_shape=(4,))(x_seq)
    torch.testing.assert_close(export.from_nir(tmp_path / "net.nir")(x_seq), expected, rtol=1e-4, atol=1e-5)


def read_again(a, b):
    a.add_(b)
    return a


@pytest.mark.parametrize(
    ("add", "name"),
    [
        (lambda a, b: torch.add(a, b, alpha=2), "add"),
        (lambda a, b: a.add(b, alpha=2), "add"),
        (lambda a, b: a + b + 1, "add"),
        (lambda a, b: a + (b + b), "add"),
        (read_again, "add_"),
    ],
)
def test_nir_refuses_other_additions(add, name):
    pytest.importorskip("nir")
    with pytest.raises(InputError, match=f"does not support the operation {name} in"):
        export.to_nir(Added(add), input_shape=(4,))


def test_weights_of_a_module_are_saved_without_its_description(tmp_path):
    net, path = own(), tmp_path / "net.safetensors"
    net.config = {"neuron": "mine", "path": tmp_path}
    export.to_safetensors(net, path)
    torch.nn.init.zeros_((again := own())[0].weight)
    assert torch.equal(clif.load(path, net=again)[0].weight, net[0].weight)


def test_nir_refuses_functions_of_the_shape():
    pytest.importorskip("nir")

    class Reshaping(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.node = nn.Linear(4, 4), clif.LIFNode(v_reset=0.0)

        def forward(self, x):
            return self.node(self.linear(x).view(x.shape))

    with pytest.raises(InputError, match="does not support the operation"):
        export.to_nir(Reshaping(), input_shape=(4,))


class Spare(nn.Module):
    """A network with a branch that its forward leaves out."""

    def __init__(self):
        super().__init__()
        self.one, self.node, self.spare = nn.Linear(4, 8), clif.CLIFNode(), nn.Sequential(clif.CLIFNode())

    def forward(self, x):
        return self.node(self.one(x))


@quietly
def test_a_neuron_that_is_not_called_has_no_step():
    x = torch.rand(5, 4) * 3
    program = export.to_program(net := Spare(), "image", input_shape=(4,), T=2)
    assert torch.equal(program.module()(x), clif.wrap(net, T=2, input_shape=(4,))(x))
    with pytest.raises(InputError, match=r"a step does not call spare\.0, a CLIFNode, which has a state; remove it"):
        export.to_program(net, "step", input_shape=(4,))


@pytest.mark.parametrize("form", clif.export.FORMS)
def test_samples_of_another_shape_are_refused(form, capfd):
    with pytest.raises(InputError, match=r"the network cannot take samples of the shape \[5\]: .*5"):
        export.to_program(own(), form, input_shape=(5,), **({} if form == "step" else {"T": 2}))
    assert not capfd.readouterr().err
    pytest.importorskip("nir")
    net = nn.Sequential(nn.Linear(4, 4), clif.LIFNode(v_reset=0.0))
    with pytest.raises(InputError, match=r"the network cannot take samples of the shape \[5\]"):
        export.to_nir(net, input_shape=(5,))


@pytest.mark.skipif(not hasattr(torch.ops.onednn, "qconv2d_pointwise"), reason="needs oneDNN for x86")
def test_int8_weights_are_no_part_of_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    net = clif.deploy.quantize_weights(nn.Sequential(clif.LIFNode(), nn.Conv2d(1, 2, 3)))
    with pytest.raises(
        InputError, match=r"1 has int8 weights for .*oneDNN, which ONNX cannot express; export .* before"
    ):
        export.to_onnx(net, tmp_path / "net.onnx", input_shape=(1, 8, 8), T=2)


@pytest.mark.parametrize("function", [torch.cat, torch.relu])
def test_nir_names_functions_and_the_module(function):
    pytest.importorskip("nir")

    class Calling(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.node = nn.Linear(4, 4), clif.LIFNode(v_reset=0.0)

        def forward(self, x):
            x = self.linear(x)
            return self.node(torch.cat([x, x], -1) if function is torch.cat else function(x))

    with pytest.raises(InputError, match=f"does not support the operation {function.__name__} in Calling"):
        export.to_nir(Calling(), input_shape=(4,))


def test_errors_have_the_names_of_the_module():
    pytest.importorskip("nir")
    node = {"v_reset": 0.0}
    net = nn.Sequential(nn.Linear(4, 4), clif.layers.Recurrent(clif.LIFNode(**node), nn.Linear(4, 4)))
    with pytest.raises(InputError, match=r"the layers inside 1, a Recurrent"):
        export.to_nir(net, input_shape=(4,))
    net = clif.wrap(nn.Sequential(nn.Linear(4, 4), nn.Softplus(), clif.LIFNode(**node)), T=2, input_shape=(4,))
    with pytest.raises(InputError, match=r"does not support the layer 1, a Softplus"):
        export.to_nir(net)
    with pytest.raises(InputError, match=r"the layer 1, a Softplus before a neuron"):
        clif.deploy.exact_sums(net)


def test_grouped_convolutions_need_depthwise():
    pytest.importorskip("nir")
    net = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), clif.LIFNode(v_reset=0.0))
    with pytest.raises(InputError, match=r"nir refuses the shapes.*grouped convolutions need depthwise=True"):
        export.to_nir(net, input_shape=(2, 6, 6))
    assert export.to_nir(net, input_shape=(2, 6, 6), depthwise=True).nodes["0"].groups == 2


@quietly
def test_a_network_without_weights_is_exported():
    net, x = clif.LIFNode(), torch.rand(5, 4) * 3
    wrapped = clif.wrap(net, T=3, input_shape=(4,))
    assert torch.equal(export.to_program(net, input_shape=(4,), T=3).module()(x), wrapped(x))
    assert export.initial_state(wrapped, 2)["net.v"].shape == (2, 4)
