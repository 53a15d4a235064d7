"""NIR: another reader runs the graph and agrees spike for spike; networks that NIR cannot express are refused."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import clif
from clif.deploy import clif_to_lif
from clif.errors import InputError
from clif.export import from_nir, to_nir
from clif.models import create_model

nir = pytest.importorskip("nir")
nir_reader = pytest.importorskip("nir_reader")

OPTIONS = [
    {"v_reset": 0.0},
    {"v_reset": -0.25},
    {"v_reset": -0.25, "tau": 4.0},
    {"v_reset": -0.5, "v_threshold": 0.5},
    {"v_reset": -0.25, "v_threshold": 0.25, "decay_input": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_independent_reader_fires_the_same_spikes(exact_network, exact_input, spikes_of, tmp_path, options):
    net = exact_network(**options)
    to_nir(net, tmp_path / "net.nir", dt=2.0**-13)
    logits, spikes = spikes_of(net, exact_input)
    read_logits, read_spikes = nir_reader.run(tmp_path / "net.nir", exact_input.numpy())
    for fired, read in zip(spikes, read_spikes.values(), strict=True):
        assert 0.05 < fired.mean() < 0.95
        np.testing.assert_array_equal(read, fired.numpy())
    np.testing.assert_array_equal(read_logits, logits.numpy())


@torch.no_grad()
def test_a_potential_on_the_threshold_fires_in_nir_as_it_does_here(exact_network, tmp_path):
    net = exact_network(v_reset=-0.25)
    conv, norm = net.features[0].fwd
    conv.weight.zero_()
    conv.bias.zero_()
    norm.weight.fill_(1)
    norm.running_mean.zero_()
    norm.bias.copy_(torch.tensor([1.375, 1.25, 1.25 - 2**-20, 0.875]))
    x = torch.zeros(1, 1, 2, 8, 8)
    to_nir(net, tmp_path / "net.nir")
    _, spikes = nir_reader.run(tmp_path / "net.nir", x.numpy())
    assert spikes["features_0_act"][0, 0, :, 0, 0].tolist() == [1, 1, 0, 0]
    assert net.features[0](x)[0, 0, :, 0, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_round_trip_fires_the_same_spikes(exact_network, exact_input, spikes_of, tmp_path, options):
    net = exact_network(**options)
    to_nir(net, tmp_path / "net.nir", dt=2.0**-13)
    back = from_nir(tmp_path / "net.nir")
    logits, spikes = spikes_of(net, exact_input)
    assert_close(back(exact_input), logits, rtol=0, atol=0)
    assert_close(list(back.spikes.values()), spikes, rtol=0, atol=0)


@pytest.mark.parametrize("depthwise", [False, True])
@torch.no_grad()
def test_a_residual_network_with_pre_activation_blocks_is_read_by_others(spikes_of, tmp_path, depthwise):
    torch.manual_seed(0)
    net = create_model("spiking_resnet18", "LIF", v_reset=-0.1, T=2, image_size=8).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, 0, 0.4)
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
    x = torch.randn(2, 2, 3, 8, 8)
    graph = to_nir(net, tmp_path / "net.nir", depthwise=depthwise)
    assert max(sum(target == name for _, target in graph.edges) for name in graph.nodes) == 2
    groups = {node.groups for node in graph.nodes.values() if isinstance(node, nir.Conv2d)}
    assert (max(groups) > 1) == depthwise
    logits, spikes = spikes_of(net, x)
    read_logits, read_spikes = nir_reader.run(tmp_path / "net.nir", x.numpy())
    fired = {name.replace(".", "_"): s for (name, _), s in zip(_neurons(net), spikes, strict=True)}
    differing = sum(int((read_spikes[name] != fired[name].numpy()).sum()) for name in fired)
    assert differing <= 1e-4 * sum(s.numel() for s in spikes)
    np.testing.assert_allclose(read_logits, logits.numpy(), atol=1e-3)
    assert nir.read(tmp_path / "net.nir", type_check=not depthwise).metadata["dt"] == 1e-4


def _neurons(net):
    return [(name, m) for name, m in net.named_modules() if hasattr(m, "v_threshold")]


@torch.no_grad()
def test_the_adaptive_pool_of_a_vgg_goes_into_its_linear_layer(tmp_path):
    net = create_model("spiking_vgg11_bn", "LIF", v_reset=0.0, T=1, image_size=32).eval()
    graph = to_nir(net, tmp_path / "net.nir")
    assert graph.nodes["classifier_1"].weight.shape == (10, 512)
    x = torch.randn(1, 1, 3, 32, 32)
    np.testing.assert_allclose(nir_reader.run(tmp_path / "net.nir", x.numpy())[0], net(x).numpy(), atol=1e-4)


def test_a_plif_network_keeps_its_learnt_time_constants(exact_network):
    net = exact_network("PLIF", v_reset=0.0)
    net.features[2].act.w.data.fill_(0.5)
    nodes = to_nir(net, dt=1e-3).nodes
    taus = [nodes[f"features_{i}_act"].tau for i in (0, 2)]
    np.testing.assert_allclose(taus[0], 2e-3, rtol=1e-6)
    np.testing.assert_allclose(taus[1], 1e-3 * (1 + np.exp(-0.5)), rtol=1e-6)
    plain = net.features[2].fwd[0].weight.detach() * net.features[2].fwd[1].weight.detach()[:, None, None, None]
    np.testing.assert_allclose(nodes["features_2_fwd_0"].weight, plain.numpy() * (1 + np.exp(-0.5)), rtol=1e-6)


def _keep_spikes(fired, name):
    def hook(_module, _inputs, out):
        fired.append((name, (out[0] if isinstance(out, tuple) else out).detach()))

    return hook


def _follow(foreign, kind, samples):
    """Runs another package's network: its outputs [T, ...] and the spikes [T, ...] of each module of a `kind`.

    snnTorch and norse flatten the batch axis too, so they take samples without one.
    """
    fired: list = []
    for name, module in foreign.named_modules():
        if isinstance(module, kind):
            module.register_forward_hook(_keep_spikes(fired, name))
    state, outputs = None, []
    for x in samples:
        out, state = foreign(x) if state is None else foreign(x, state)
        outputs.append(out.detach())
    layers = dict.fromkeys(name for name, _ in fired)
    return torch.stack(outputs), [torch.stack([s for name, s in fired if name == layer]) for layer in layers]


def test_snntorch_fires_the_same_spikes(exact_network, exact_input, spikes_of, tmp_path):
    snntorch = pytest.importorskip("snntorch")
    import_nir = pytest.importorskip("snntorch.import_nir")
    net = exact_network(v_reset=-0.25)
    to_nir(net, tmp_path / "net.nir")
    for sample in exact_input.unbind(1):
        foreign = import_nir.import_from_nir(nir.read(tmp_path / "net.nir"))
        outputs, fired = _follow(foreign, snntorch.Leaky, sample)
        logits, spikes = spikes_of(net, sample[:, None])
        assert_close(outputs, logits[:, 0], rtol=0, atol=0)
        assert_close(fired, [expected[:, 0] for expected in spikes], rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_norse_fires_the_same_spikes(exact_network, exact_input, spikes_of, tmp_path):
    """For a network without pools, which norse does not read."""
    norse = pytest.importorskip("norse.torch")
    net = exact_network(v_reset=-0.25, pools=False)
    to_nir(net, tmp_path / "net.nir", dt=1e-3)
    for sample in exact_input.unbind(1):
        foreign = norse.from_nir(nir.read(tmp_path / "net.nir"), dt=1e-3)
        outputs, fired = _follow(foreign, norse.LIFBoxCell, sample)
        logits, spikes = spikes_of(net, sample[:, None])
        assert_close(outputs, logits[:, 0], rtol=0, atol=0)
        assert_close(fired, [expected[:, 0] for expected in spikes], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("neuron", "options", "message"),
    [
        ("CLIF", {"v_reset": 0.0}, "no CLIF neuron.*clif_to_lif"),
        ("LIF", {}, "hard reset.*features.0.act a soft one.*clif_to_lif"),
        ("LIF", {"v_subtract": 1.8}, "a soft one"),
        ("KLIF", {}, "no such neuron: features.0.act is a KLIFNode, .*; train with LIF or PLIF"),
        ("ReLU", {}, "no spiking neuron"),
    ],
)
def test_what_nir_cannot_express_is_refused_with_the_mend(exact_network, tmp_path, neuron, options, message):
    with pytest.raises(InputError, match=message):
        to_nir(exact_network(neuron, **options), tmp_path / "net.nir")
    assert not (tmp_path / "net.nir").exists()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([torch.nn.AdaptiveAvgPool2d(3), torch.nn.AdaptiveAvgPool2d(2)], "express 2: it pools the result of another"),
        ([torch.nn.AdaptiveAvgPool2d(1), torch.nn.AdaptiveAvgPool2d(7)], "express 2: it pools the result of another"),
        ([torch.nn.AdaptiveAvgPool2d((7, 1)), torch.nn.Linear(1, 4)], "express 2: it acts on a map; put a Flatten"),
    ],
)
def test_pools_and_linear_layers_that_nir_cannot_express_are_refused(tmp_path, layers, message):
    readout = [torch.nn.Flatten(), torch.nn.LazyLinear(3)]
    module = torch.nn.Sequential(clif.LIFNode(v_reset=0.0), *layers, *readout)
    module(torch.zeros(1, 2, 7, 7))
    net = clif.wrap(module, T=2, input_shape=(2, 7, 7)).eval()
    with pytest.raises(InputError, match=message):
        to_nir(net, tmp_path / "net.nir")


@pytest.mark.parametrize("dt", [0.0, -1e-4, float("nan")])
def test_a_time_step_that_is_none_is_refused(exact_network, dt):
    with pytest.raises(InputError, match="dt must be"):
        to_nir(exact_network(v_reset=0.0), dt=dt)


def test_the_network_is_left_alone(exact_network, exact_input, spikes_of):
    net = exact_network(v_reset=-0.25)
    before = spikes_of(net, exact_input)[0]
    to_nir(net)
    assert net.step_mode == "m"
    assert_close(spikes_of(net, exact_input)[0], before, rtol=0, atol=0)


def test_a_missing_package_is_named_with_the_command(exact_network, monkeypatch):
    monkeypatch.setattr("clif.extras.importlib.import_module", _missing)
    with pytest.raises(InputError, match=r"pip install 'clif-snn\[nir\]'"):
        to_nir(exact_network(v_reset=0.0))


def _missing(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def written(exact_network, tmp_path):
    path = tmp_path / "net.nir"
    to_nir(exact_network(v_reset=0.0), path)
    return path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no NIR file at .*none\.nir"):
        from_nir(tmp_path / "none.nir")


@pytest.mark.parametrize("keep", [0, 100, 3000, -500])
def test_a_truncated_file_is_an_input_error(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"net\.nir"):
        from_nir(written)


DATA = Path(__file__).parent / "data"
"""Graphs that a fuzzer damaged: HDF5 crashes at the first and never ends at the second."""


@pytest.mark.parametrize("name", ["crash", pytest.param("endless", marks=pytest.mark.slow)])
def test_a_file_at_which_hdf5_crashes_or_never_ends_is_an_input_error(tmp_path, name):
    path = tmp_path / "net.nir"
    path.write_bytes(gzip.decompress((DATA / f"{name}.nir.gz").read_bytes()))
    with pytest.raises(InputError, match=r"net\.nir: (cannot be read as a NIR graph|not a NIR graph)"):
        from_nir(path)
    nir.write(path, nir.NIRGraph.from_list(nir.Input({"input": np.array([4])}), nir.Output({"output": np.array([4])})))
    assert from_nir(path, dt=1e-4)(torch.ones(2, 1, 4)).shape == (2, 1, 4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4), r"takes a sequence \[T, N, \*\] with T ≥ 1, got \[2, 4\]"),
        ((0, 2, 4), r"with T ≥ 1, got \[0, 2, 4\]"),
        ((3, 2, 5), r"the node a cannot take \[2, 5\]"),
        ((3, 2, 1), r"the node first has neurons \[4\], but its input is \[2, 1\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path, shape, message):
    """A neuron would otherwise repeat a single value for all its neurons."""
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    first = nir.LIF(tau=ones * 2e-4, r=ones, v_leak=zeros, v_threshold=ones, v_reset=zeros)
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "output": nir.Output({"output": np.array([4])}),
        "a": nir.Affine(np.eye(4, dtype=np.float32), zeros),
        "first": first,
    }
    order = ["input", "first", "a", "output"] if "first" in message else ["input", "a", "first", "output"]
    edges = list(pairwise(order))
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, edges, metadata={"dt": 1e-4}))
    net = from_nir(tmp_path / "net.nir")
    with pytest.raises(InputError, match=message):
        net(torch.rand(shape))
    x_seq = torch.rand(3, 2, 4, dtype=torch.float64) * 3
    assert torch.equal(net(x_seq), net(x_seq.float()))


def _edit(path, edit):
    import h5py

    with h5py.File(path, "r+") as file:
        edit(file["node"])


def _cycle(graph):
    edges = [*graph["edges"][()].tolist(), [b"features_2_act", b"features_0_fwd_0"]]
    del graph["edges"]
    graph["edges"] = np.array(edges)


def _unknown_edge(graph):
    edges = graph["edges"][()]
    del graph["edges"]
    graph["edges"] = np.array([[b"nowhere", b"output"], *edges.tolist()])


def _drop(key):
    def edit(graph):
        del graph[key]

    return edit


def _set(key, value):
    def edit(graph):
        del graph[key]
        graph[key] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_cycle, "cycle"),
        (_unknown_edge, "nowhere"),
        (_drop("edges"), "net.nir"),
        (_drop("nodes/features_0_act/tau"), "net.nir"),
        (_drop("metadata"), "give dt"),
        (_set("nodes/features_0_act/tau", np.zeros((4, 8, 8), np.float32)), "tau"),
        (_set("nodes/features_0_act/type", b"CubaLIF"), "net.nir"),
        (_set("nodes/features_0_act/type", b"os.system"), "net.nir"),
        (_set("nodes/features_0_fwd_0/weight", b"words"), "net.nir"),
        (_drop("nodes/output"), "net.nir"),
    ],
)
def test_a_damaged_or_hostile_graph_is_an_input_error(written, edit, message):
    _edit(written, edit)
    with pytest.raises(InputError, match=message):
        from_nir(written)


@torch.no_grad()
def test_a_calibrated_network_runs_as_nir(exact_network, exact_input, spikes_of, tmp_path):
    net = exact_network("CLIF")
    lif = clif_to_lif(net, method="calibrate", loader=[(exact_input, torch.zeros(3))])
    to_nir(lif, tmp_path / "net.nir")
    back = from_nir(tmp_path / "net.nir")
    assert_close(back(exact_input), spikes_of(lif, exact_input)[0], rtol=0, atol=1e-4)
