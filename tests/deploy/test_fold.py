"""Batch norm folded into convolutions: the same numbers within rounding; refused by name if it is not exact."""

from functools import partial

import pytest
import torch
import torch.nn.utils.prune
from torch.testing import assert_close

import clif
from clif import LIFNode
from clif.deploy import ChannelAffine, clif_to_lif, exact_sums, fold_batch_norm, quantize_weights
from clif.deploy.fold import foldable_norms
from clif.errors import InputError
from clif.layers import BatchNorm2d
from clif.models import create_model
from clif.neurons.net import visiting


def lively(name: str, neuron: str = "CLIF", **options) -> torch.nn.Module:
    torch.manual_seed(1)
    net = create_model(name, neuron, **{"T": 2, **options})
    for module in net.modules():
        if isinstance(module, BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.4)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.3, 1.2)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "rest"), [("snn5", "refuse"), ("spiking_vgg11_bn", "refuse"), ("spiking_resnet18", "affine")]
)
@torch.no_grad()
def test_the_folded_network_computes_the_same(name, rest):
    net = lively(name).double()
    folded = fold_batch_norm(net, rest)
    assert not any(isinstance(module, BatchNorm2d) for module in folded.modules())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert_close(folded(x), net(x), rtol=0, atol=1e-9)
    assert net(x).std() > 0


@torch.no_grad()
def test_in_float32_each_convolution_agrees_within_rounding():
    net = lively("snn5_noAP")
    x = torch.randn(2, 3, 32, 32)
    for layer, folded in zip(net.features, fold_batch_norm(net).features, strict=True):
        expected = layer.fwd(x)
        assert_close(folded.fwd(x), expected, rtol=1e-5, atol=1e-5)
        x = layer.act(expected[None])[0]


def test_a_norm_of_a_sum_is_refused_by_name():
    with pytest.raises(InputError, match=r"batch norm layer1\.1\.bn1 does not follow a convolution"):
        fold_batch_norm(lively("spiking_resnet18"))


def test_in_a_residual_network_only_sums_keep_an_affine():
    folded = fold_batch_norm(lively("spiking_resnet18"), rest="affine")
    kept = [name for name, module in folded.named_modules() if isinstance(module, ChannelAffine)]
    assert kept == [f"layer{s}.{b}.bn1" for s in range(1, 5) for b in range(2) if (s, b) != (1, 0)] + ["bn1"]


@torch.no_grad()
def test_norms_of_sums_can_be_kept_for_the_neurons():
    net = lively("spiking_resnet18").double()
    folded = fold_batch_norm(net, rest="keep")
    kept = [name for name, module in folded.named_modules() if isinstance(module, BatchNorm2d)]
    assert kept == [name for name, before in foldable_norms(net).items() if before is None]
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert_close(folded(x), net(x), rtol=0, atol=1e-9)


def test_an_unknown_rest_is_refused():
    with pytest.raises(InputError, match='"refuse", "affine" or "keep"'):
        fold_batch_norm(lively("snn5_noAP"), rest="drop")


def test_the_network_itself_is_left_alone():
    net = lively("snn5_noAP").train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fold_batch_norm(net)
    assert net.training
    assert_close(dict(net.state_dict()), before, rtol=0, atol=0)


class Named(torch.nn.Module):
    """A network whose layers have two names."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.node = torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), LIFNode()
        self.deep = torch.nn.Conv2d(4, 2, 3)
        self.body = torch.nn.Sequential(self.conv, self.norm, self.node, self.deep)

    def forward(self, x):
        return self.body(x)


@torch.no_grad()
@pytest.mark.parametrize("change", [fold_batch_norm, exact_sums, quantize_weights])
def test_layers_with_two_names_are_replaced_under_both(change):
    torch.manual_seed(0)
    net = Named()
    torch.nn.init.uniform_(net.norm.running_var, 0.1, 0.2)
    changed = change(net.eval())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in changed.modules())
    x = torch.randint(0, 128, (2, 1, 8, 8)) / 128
    assert_close(changed(x), net(x), rtol=0, atol=0.05)
    assert net(x).std() > 0.1


@torch.no_grad()
@pytest.mark.parametrize(("weights", "shape"), [(torch.nn.Conv1d(2, 4, 3), (2, 8)), (torch.nn.Linear(4, 4), (4,))])
def test_norms_of_vectors_and_signals_are_folded(weights, shape):
    norm, x = torch.nn.BatchNorm1d(4), torch.rand(5, *shape)
    torch.nn.init.uniform_(norm.running_var, 0.3, 1.2)
    net = torch.nn.Sequential(weights, norm, LIFNode(v_threshold=0.3)).eval()
    folded = fold_batch_norm(net)
    assert_close(folded[0](x), norm(weights(x)))
    assert isinstance(folded[1], torch.nn.Identity)


def test_a_norm_of_another_axis_is_refused():
    with pytest.raises(InputError, match="batch norm 1 does not follow"):
        fold_batch_norm(torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(3), LIFNode()))


@torch.no_grad()
def test_a_norm_without_statistics_is_kept_or_refused():
    norm, x = torch.nn.BatchNorm2d(4, track_running_stats=False), torch.rand(5, 1, 8, 8)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), norm).eval()
    assert torch.equal(fold_batch_norm(net, rest="keep")(x), net(x))
    with pytest.raises(InputError, match="batch norm 1 has no running statistics"):
        fold_batch_norm(net, rest="affine")


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.node = torch.nn.Linear(4, 4), LIFNode()

    def forward(self, x):
        return self.node(self.linear(x.view(len(x), -1)))


@pytest.mark.parametrize("change", [fold_batch_norm, exact_sums, quantize_weights])
def test_a_forward_that_cannot_be_traced_is_refused(change):
    with pytest.raises(InputError, match="the layers of Counting cannot be traced"):
        change(Counting())


@torch.no_grad()
def test_parametrized_weights_are_folded():
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(1, 4, 3))
    norm, x = torch.nn.BatchNorm2d(4), torch.rand(5, 1, 8, 8)
    torch.nn.init.uniform_(norm.running_var, 0.3, 1.2)
    folded = fold_batch_norm(torch.nn.Sequential(conv, norm, LIFNode()).eval())
    assert_close(folded[0](x), norm.eval()(conv(x)))
    assert set(folded.state_dict()) == {"0.weight", "0.bias"}


class PreActivation(torch.nn.Module):
    """A network whose last batch norm normalises a sum of spikes, which are also the input of a convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.one = torch.nn.Conv2d(1, 4, 3), LIFNode(v_threshold=0.2)
        self.inner, self.two = torch.nn.Conv2d(4, 4, 1), LIFNode(v_threshold=0.2)
        self.norm, self.flatten = torch.nn.BatchNorm2d(4), torch.nn.Flatten()

    def forward(self, x):
        x = self.one(self.conv(x))
        return self.flatten(self.norm(x + self.two(self.inner(x))))


@pytest.mark.parametrize("change", [partial(fold_batch_norm, rest="affine"), exact_sums, quantize_weights])
@torch.no_grad()
def test_a_changed_module_is_wrapped_and_exported(change):
    torch.manual_seed(0)
    net, x_seq = change(PreActivation().eval()), torch.rand(3, 5, 1, 6, 6)
    with visiting(net, "s"):
        expected = torch.stack([net(x) for x in x_seq])
    assert_close(clif.wrap(net, T=3, input_shape=(1, 6, 6))(x_seq), expected, rtol=1e-5, atol=1e-5)
    program = clif.export.to_program(net, "sequence", input_shape=(1, 6, 6), T=3)
    assert_close(program.module()(x_seq), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rounded", [exact_sums, quantize_weights])
@pytest.mark.parametrize("change", [fold_batch_norm, exact_sums, quantize_weights])
def test_a_rounded_network_is_refused_by_name(rounded, change):
    layer = r"0\.0 is a Grid" if rounded is exact_sums else "2 is a Int8Conv2d"
    net = rounded(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), LIFNode(), torch.nn.Conv2d(4, 4, 3), LIFNode()))
    with pytest.raises(
        InputError, match=f"{layer} of a network with rounded weights; use the network as it was before"
    ):
        change(net)


def computed(change):
    """A network whose convolutions have weights that a hook computes, with a graph since its last call."""
    torch.manual_seed(0)
    first, last = torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 2, 3)
    for conv in (first, last):
        change(conv)
    norm, rest = torch.nn.BatchNorm2d(4), {"v_reset": 0.0, "v_threshold": 0.5}
    net = torch.nn.Sequential(first, norm, LIFNode(**rest), last, torch.nn.Flatten(), torch.nn.Linear(32, 2)).eval()
    torch.nn.init.uniform_(norm.running_var, 0.02, 0.05)
    net(torch.rand(5, 1, 8, 8))
    clif.reset_net(net)
    return net


HOOKS = {
    "prune": lambda conv: torch.nn.utils.prune.l1_unstructured(conv, "weight", 0.5),
    "weight_norm": torch.nn.utils.weight_norm,
    "spectral_norm": torch.nn.utils.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("change", HOOKS)
@pytest.mark.parametrize("deploy", [fold_batch_norm, exact_sums, quantize_weights, clif_to_lif, clif.wrap])
def test_weights_that_a_hook_computes_are_taken(change, deploy):
    net, x = computed(HOOKS[change]), torch.randint(0, 128, (5, 1, 8, 8)) / 128
    options = {"v_reset": 0.0} if deploy is clif_to_lif else {"T": 1} if deploy is clif.wrap else {}
    with torch.no_grad():
        got = deploy(net, **options)(x)
        assert_close(got.reshape(5, 2), net(x), rtol=0, atol=0.05)
        assert net(x).std() > 0.02


def test_pruned_networks_are_fitted_and_exported(tmp_path):
    pytest.importorskip("nir")
    net, x_seq = computed(HOOKS["prune"]), torch.rand(3, 5, 1, 8, 8)
    with torch.no_grad():
        expected = clif.wrap(net, T=3)(x_seq)
    clif.export.to_nir(net, tmp_path / "net.nir", input_shape=(1, 8, 8))
    assert_close(clif.export.from_nir(tmp_path / "net.nir")(x_seq), expected, rtol=1e-4, atol=1e-4)
    program = clif.export.to_program(computed(HOOKS["prune"]), "sequence", input_shape=(1, 8, 8), T=3)
    assert_close(program.module()(x_seq), expected, rtol=1e-4, atol=1e-4)
    fitted = clif_to_lif(computed(HOOKS["prune"]), method="finetune", loader=[(x_seq, torch.zeros(5).long())])
    assert (fitted[0].weight_mask == 0).float().mean() == 0.5


class Reading(torch.nn.Module):
    """A network whose forward reads one parameter of a layer."""

    def __init__(self, layer: str, parameter: str) -> None:
        super().__init__()
        self.conv, self.norm = clif.layers.Conv2d(3, 8, 3, padding=1), BatchNorm2d(8)
        self.neuron, self.flat, self.linear = LIFNode(), clif.layers.Flatten(), clif.layers.Linear(8 * 64, 4)
        torch.nn.init.uniform_(self.norm.running_var, 0.3, 1.2)
        self.read = (layer, parameter)

    def forward(self, x):
        scale = getattr(getattr(self, self.read[0]), self.read[1]).abs().mean()
        return scale * self.linear(self.flat(self.neuron(self.norm(self.conv(x)))))


@pytest.mark.parametrize("read", [("conv", "weight"), ("norm", "weight")])
def test_a_forward_that_reads_a_folded_parameter_is_refused(read):
    net = clif.wrap(Reading(*read), T=2, input_shape=(3, 8, 8)).eval()
    for rest in ("refuse", "affine"):
        with pytest.raises(InputError, match=f"a parameter of the layer {read[0]}, so the batch norm norm cannot"):
            fold_batch_norm(net, rest)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(fold_batch_norm(net, "keep")(x), net(x))
    if read[0] == "norm":
        with pytest.raises(InputError, match="the batch norm norm cannot take a gain"):
            clif_to_lif(net, method="calibrate", loader=[x])


def test_a_forward_may_read_other_parameters():
    net = clif.wrap(Reading("linear", "weight"), T=2, input_shape=(3, 8, 8)).eval()
    x = torch.randn(2, 3, 8, 8)
    assert_close(fold_batch_norm(net)(x), net(x), rtol=1e-4, atol=1e-5)
