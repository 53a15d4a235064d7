"""The user's own modules as networks."""

import pytest
import torch
from torch import nn

import clif
from clif.errors import InputError
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
        (nn.Sequential(nn.Conv3d(1, 1, 1), clif.LIFNode()), "0, a .*Conv3d, cannot take sequences"),
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


def test_group_norm_of_vectors_is_refused():
    wrapped = clif.wrap(nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4), clif.LIFNode()), T=2)
    with pytest.raises(InputError, match="use LayerNorm"):
        wrapped(torch.rand(4, 4))
