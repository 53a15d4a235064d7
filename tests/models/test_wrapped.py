"""The user's own modules as networks."""

import numpy as np
import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
from clif.models.network import step_by_step
from clif.neurons.net import visiting
from clif.train.checkpoint import save_checkpoint


def images(**options):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        clif.CLIFNode(**options),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


def vectors():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), clif.LIFNode(), nn.Linear(8, 2))


CASES = [(images, (1, 8, 8)), (vectors, (4,))]


@pytest.mark.parametrize(("make", "shape"), CASES)
@pytest.mark.parametrize("training", [False, True])
def test_a_wrapped_network_computes_what_its_steps_compute(make, shape, training):
    plain, other, x_seq = make().train(training), make().train(training), torch.rand(3, 5, *shape) * 3
    for module in (*plain, *other):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    wrapped = clif.wrap(other, T=3)
    expected = torch.stack([plain(x) for x in x_seq])
    torch.testing.assert_close(wrapped(x_seq), expected)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(wrapped.state_dict()[f"net.{name}"], value)
        torch.testing.assert_close(other.state_dict()[name], value)
    torch.testing.assert_close(wrapped.eval()(x_seq[0]), wrapped(x_seq[:1].expand(3, *x_seq.shape[1:])))


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_it_streams_and_goes_step_by_step(make, shape):
    wrapped, x_seq = clif.wrap(make().eval(), T=3), torch.rand(3, 5, *shape) * 3
    stream = wrapped.stream()
    whole = wrapped(x_seq)
    torch.testing.assert_close(torch.stack([stream(x) for x in x_seq]), whole)
    clif.set_step_mode(wrapped, "s")
    clif.reset_net(wrapped)
    torch.testing.assert_close(torch.stack([wrapped(x) for x in x_seq]), whole)


def test_parameters_are_shared_and_the_module_stays_as_it_is():
    net = images()
    wrapped = clif.wrap(net, T=2)
    assert {id(p) for p in wrapped.parameters()} == {id(p) for p in net.parameters()}
    assert [type(m) for m in net] == [type(m) for m in images()]
    wrapped(torch.rand(2, 1, 8, 8)).sum().backward()
    assert net[0].weight.grad.isfinite().all()
    assert net[2].step_mode == "s"


def test_a_mask_of_dropout_serves_all_steps():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), clif.IFNode(v_threshold=-100.0), nn.Dropout(0.5))
    spikes = clif.wrap(net, T=2)(torch.rand(3, 64))
    assert torch.equal(spikes[0], spikes[1])
    assert {0.0, 2.0} == set(spikes.unique().tolist())


class Own(nn.Module):
    def __init__(self, flatten):
        super().__init__()
        self.conv, self.node, self.linear = nn.Conv2d(1, 4, 3), clif.LIFNode(), nn.Linear(144, 2)
        self.flatten = flatten

    def forward(self, x):
        return self.linear(self.flatten(self.node(self.conv(x))))


def test_a_forward_of_one_s_own_is_tried_out():
    net = Own(nn.Flatten())
    assert clif.wrap(net, T=2, input_shape=(1, 8, 8))(torch.rand(3, 1, 8, 8)).shape == (2, 3, 2)
    with pytest.raises(InputError, match="Own has its own forward"):
        clif.wrap(net, T=2)
    with pytest.raises(InputError, match=r"Own .*sequence"):
        clif.wrap(Own(lambda x: x.flatten(1)), T=2, input_shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), "no spiking neuron"),
        (nn.Sequential(nn.Conv3d(1, 1, 1), clif.LIFNode()), "0, a .*Conv3d, cannot take sequences.*TimeDistributed"),
        (nn.Sequential(nn.Flatten(), clif.LIFNode()), "input_shape"),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, affine=False), clif.LIFNode()), "1 is a BatchNorm2d"),
        (clif.models.create_model("snn5_noAP"), "already"),
    ],
)
def test_what_cannot_be_wrapped_says_why(net, message):
    with pytest.raises(InputError, match=message):
        clif.wrap(net, T=2)


def test_inputs_of_other_shapes_are_refused():
    wrapped = clif.wrap(vectors(), T=2, input_shape=(4,))
    for x in (torch.rand(4), torch.rand(2, 5), torch.rand(0, 2, 4), torch.rand(1, 1, 2, 4)):
        with pytest.raises(InputError, match=r"\[N, 4\] or \[T, N, 4\], got|empty sequence"):
            wrapped(x)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_checkpoints_load_into_a_module(suffix, tmp_path):
    path, source, x = tmp_path / f"net.{suffix}", clif.wrap(vectors().eval(), T=3), torch.rand(5, 4)
    if suffix == "pth":
        save_checkpoint(path, {"net": source.state_dict(), "model": source.config})
    else:
        clif.export.to_safetensors(source, path)
    with pytest.raises(InputError, match=r"wrapped Sequential.*clif\.load\(path, net=clif\.wrap\(my_net, T=3\)\)"):
        clif.load(path)
    torch.nn.init.zeros_((plain := vectors())[0].weight)
    loaded = clif.load(path, net=clif.wrap(plain, T=3))
    assert not loaded.training
    assert torch.equal(loaded(x), source(x))
    assert torch.equal(clif.load(path, net=vectors())[3].weight, source.net[3].weight)
    with pytest.raises(InputError, match="does not fit"):
        clif.load(path, net=clif.wrap(images(), T=3))
    with pytest.raises(InputError, match=r"T: describes a network to create"):
        clif.load(path, net=vectors(), T=4)


def test_weights_of_the_module_load_into_the_wrapped_network(tmp_path):
    net = vectors().eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    loaded = clif.load(tmp_path / "net.pth", net=clif.wrap(vectors(), T=3))
    assert torch.equal(loaded.net[0].weight, net[0].weight)
    torch.save({**net.state_dict(), "9.bias": net[0].bias}, tmp_path / "net.pth")
    with pytest.raises(
        InputError, match=r"does not fit this Sequential: it has the unknown key 9\.bias \(1 keys differ\)"
    ):
        clif.load(tmp_path / "net.pth", net=clif.wrap(vectors(), T=3))


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Conv1d, nn.Linear])
def test_parametrized_layers_take_sequences(kind):
    """Their weights stay parametrized, and shared with the module."""
    torch.manual_seed(0)
    shape = {nn.Conv2d: (3, 6, 6), nn.Conv1d: (3, 6), nn.Linear: (3,)}[kind]
    layer = nn.utils.parametrizations.weight_norm(kind(3, 4) if kind is nn.Linear else kind(3, 4, 3))
    net = nn.Sequential(layer, clif.LIFNode(v_threshold=0.1), nn.Flatten())
    wrapped, x_seq = clif.wrap(net, T=2, input_shape=shape), torch.randn(2, 5, *shape)
    with visiting(net, "s"):
        expected = torch.stack([net(x) for x in x_seq])
    spikes = wrapped(x_seq)
    assert torch.equal(spikes, expected)
    assert 0 < spikes.mean() < 1
    spikes.sum().backward()
    assert layer.parametrizations.weight.original1.grad.any()
    folded = clif.deploy.fold_batch_norm(wrapped)
    assert set(folded.state_dict()) == {"net.0.weight", "net.0.bias"}
    program = clif.export.to_program(wrapped, "sequence").module()
    assert torch.equal(program(x_seq), expected)
    with torch.no_grad():
        layer.parametrizations.weight.original0.zero_()
        layer.bias.zero_()
    assert not wrapped(x_seq).any()


def test_group_norm_of_vectors_is_refused():
    wrapped = clif.wrap(nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4), clif.LIFNode()), T=2)
    with pytest.raises(InputError, match="use LayerNorm"):
        wrapped(torch.rand(4, 4))


def test_a_neuron_that_is_called_twice_is_refused():
    node = clif.LIFNode()
    with pytest.raises(InputError, match="1, a LIFNode, is called 2 times in a step"):
        clif.wrap(nn.Sequential(nn.Linear(4, 4), node, nn.Linear(4, 4), node), T=2)
    net = Own(nn.Flatten())
    net.flatten = nn.Sequential(net.node, nn.Flatten())
    with pytest.raises(InputError, match="node, a LIFNode, is called 2 times in a step"):
        clif.wrap(net, T=2, input_shape=(1, 8, 8))


def test_a_neuron_with_two_names_that_is_called_once_is_taken():
    net = Own(nn.Flatten())
    net.same = nn.Sequential(net.node)
    assert clif.wrap(net, T=2, input_shape=(1, 8, 8))(torch.rand(3, 1, 8, 8)).shape == (2, 3, 2)


class Tupled(Own):
    def forward(self, x):
        return super().forward(x), x


def test_a_forward_that_cannot_be_tried_out_says_why():
    with pytest.raises(InputError, match=r"Tupled cannot take .*its forward returns a tuple, but must return the"):
        clif.wrap(Tupled(nn.Flatten()), T=2, input_shape=(1, 8, 8))
    with pytest.raises(
        InputError, match=r"view size is not compatible.*use layers in its forward, such as torch\.nn\.Fl"
    ):
        clif.wrap(Own(lambda x: x.transpose(1, 2).view(len(x), -1)), T=2, input_shape=(1, 8, 8))
    with pytest.raises(InputError, match=r"shapes cannot be multiplied.*use layers in its forward"):
        clif.wrap(Own(lambda x: x.flatten(1)), T=2, input_shape=(1, 8, 8))


class InFloat32(Own):
    def forward(self, x):
        return super().forward(x.float())


def test_a_forward_that_needs_float32_is_tried_out():
    wrapped = clif.wrap(InFloat32(nn.Flatten()), T=2, input_shape=(1, 8, 8))
    assert wrapped(torch.rand(3, 1, 8, 8)).shape == (2, 3, 2)
    with pytest.raises(InputError, match="InFloat32 cannot take a sequence"):
        clif.wrap(InFloat32(lambda x: x.flatten(1)), T=2, input_shape=(1, 8, 8))


class Tail(nn.Sequential):
    def forward(self, x):
        return super().forward(x).flatten(1)


def test_a_container_with_a_forward_of_its_own_is_tried_out():
    net = nn.Sequential(nn.Linear(4, 8), clif.LIFNode(), Tail(nn.Linear(8, 2)))
    with pytest.raises(InputError, match="Tail has its own forward"):
        clif.wrap(net, T=2)
    with pytest.raises(InputError, match="Tail does not compute the same for a sequence"):
        clif.wrap(net, T=2, input_shape=(4,))


class MeanOverBatch(nn.Module):
    def __init__(self, v_threshold):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)
        self.act = clif.LIFNode(v_threshold=v_threshold)

    def forward(self, x):
        spikes = self.act(self.first(x))
        return self.last(spikes - spikes.mean(0))  # dim 0 is the batch, but time in a sequence


@pytest.mark.parametrize("v_threshold", [0.1, 100.0])
def test_a_wrong_forward_is_refused_even_if_all_neurons_are_silent(v_threshold):
    with pytest.raises(InputError, match="MeanOverBatch does not compute the same for a sequence"):
        clif.wrap(MeanOverBatch(v_threshold), T=2, input_shape=(4,))


class OnlySpikes(MeanOverBatch):
    def forward(self, x):
        spikes = self.act(self.first(x))
        assert ((spikes == 0) | (spikes == 1)).all()
        return self.last(spikes)


def test_a_forward_that_takes_only_spikes_is_accepted():
    assert clif.wrap(OnlySpikes(1.0), T=2, input_shape=(4,))(torch.rand(3, 4)).shape == (2, 3, 2)


class Strict(Own):
    def forward(self, x):
        assert x.dim() == 4
        return super().forward(x)


def test_a_forward_that_asserts_single_steps_is_refused():
    with pytest.raises(InputError, match="Strict cannot take a sequence of samples"):
        clif.wrap(Strict(nn.Flatten()), T=2, input_shape=(1, 8, 8))


def test_each_module_keeps_its_mode():
    net = images().train()
    net[1].eval()
    wrapped = clif.wrap(net, T=2)
    assert wrapped.training
    assert [module.training for module in wrapped.net] == [module.training for module in net]
    assert not clif.wrap(net.eval(), T=2).training


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}])
def test_a_batch_norm_of_vectors_without_weights_or_statistics_is_refused(options):
    with pytest.raises(InputError, match="1 is a BatchNorm1d with affine=False or"):
        clif.wrap(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, **options), clif.LIFNode()), T=2)


@pytest.mark.parametrize("shape", [torch.rand(5, 4), 4, "four", (4.5,), (0,), ()])
def test_the_shape_of_a_sample_is_numbers(shape):
    with pytest.raises(InputError, match="input_shape is that of one sample"):
        clif.wrap(vectors(), T=2, input_shape=shape)


@pytest.mark.parametrize("T", ["6", 0, 2.5, float("inf"), torch.tensor(2)])
def test_the_number_of_steps_is_a_whole_number(T):
    with pytest.raises(InputError, match="T must be a whole number of at least 1 time step"):
        clif.wrap(vectors(), T=T)


def test_whole_numbers_of_other_types_are_steps(tmp_path):
    for T in (np.int64(2), 2.0):
        wrapped = clif.wrap(vectors(), T=T)
        assert wrapped(torch.rand(5, 4)).shape == (2, 5, 2)
        clif.export.to_safetensors(wrapped, tmp_path / "net.safetensors")


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_a_sequence_is_computed_step_by_step(make, shape):
    wrapped, x_seq = clif.wrap(make().eval(), T=2), torch.rand(3, 5, *shape) * 3
    torch.testing.assert_close(step_by_step(wrapped, x_seq), wrapped(x_seq))


def test_constants_that_a_conversion_fitted_are_loaded(tmp_path):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 8), clif.CLIFNode(v_threshold=0.3), nn.Linear(8, 2)), torch.rand(5, 4)
    path, batches = tmp_path / "lif.safetensors", [(x, torch.zeros(5, dtype=torch.int64))]
    lif = clif.deploy.clif_to_lif(clif.wrap(net, T=3).eval(), method="subtract", loader=batches)
    clif.export.to_safetensors(lif, path)
    for fresh in (clif.deploy.clif_to_lif(clif.wrap(net, T=3)), clif.deploy.clif_to_lif(net)):
        loaded = clif.load(path, net=fresh)
        (node,) = (module for module in loaded.modules() if isinstance(module, clif.LIFNode))
        assert node.v_subtract == lif.net[1].v_subtract != 0.3
    with pytest.raises(InputError, match=r"its constants of single layers do not fit this Wrapped .* for LIF neurons"):
        clif.load(path, net=clif.wrap(net, T=3))
