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
