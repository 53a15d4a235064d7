import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import clif
from clif import layers, models
from clif.errors import InputError

NEURONS = ["CLIF", "LIF", "PLIF", "ReLU"]
T, N = 3, 2


def create(neuron="CLIF", name="snn5_noAP", **arguments):
    """A small network in float64 whose neurons all fire and, with the smooth surrogate, all have gradients."""
    net = models.create_model(name, neuron, T=T, surrogate="sigmoid", **arguments).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.6)
    return net


def images(*leading, size=32):
    return torch.randn(*leading, 3, size, size, dtype=torch.float64)


def stepwise(net, x_seq):
    """The logits of T calls in single-step mode, from rest."""
    clif.set_step_mode(net, "s")
    clif.reset_net(net)
    return torch.stack([net(x) for x in x_seq])


def streamed(net, x_seq):
    step = net.stream()
    return torch.stack([step(x) for x in x_seq])


def everything(net, forward, x_seq):
    """Logits, gradients and buffers of a training step with seeded dropout masks."""
    torch.manual_seed(1)
    logits = forward(x_seq)
    (logits * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)).sum().backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    return {"logits": logits, **gradients, **{name: b.clone() for name, b in net.named_buffers()}}


def close(got, expected):
    assert_close(got, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("drop_rate", [0.0, 0.4])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("one_by_one", [stepwise, streamed])
def test_steps_give_what_the_sequence_gives(neuron, drop_rate, one_by_one):
    net = create(neuron, drop_rate=drop_rate)
    twin = copy.deepcopy(net)
    x_seq = images(T, N)
    got = everything(twin, lambda x: one_by_one(twin, x), x_seq)
    assert all(value.any() for name, value in got.items() if "weight" in name)
    close(got, everything(net, net, x_seq))


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(("name", "size"), [("snn5_noAP", 32), ("spiking_resnet18", 8)])
def test_a_static_image_equals_the_repeated_sequence(neuron, name, size):
    net = create(neuron, name)
    twin = copy.deepcopy(net)
    image = images(N, size=size)
    repeated = image.repeat(net.T, 1, 1, 1, 1)
    close(everything(net, net, image), everything(twin, twin, repeated))


@pytest.mark.parametrize("function", ["conv2d", "batch_norm"])
@pytest.mark.parametrize(("name", "size"), [("snn5_noAP", 32), ("spiking_resnet18", 8)])
def test_only_what_precedes_the_first_neuron_is_computed_once_for_a_static_image(name, size, function, monkeypatch):
    batch_sizes = []
    original = getattr(F, function)

    def counted(x, *args):
        batch_sizes.append(len(x))
        return original(x, *args)

    monkeypatch.setattr(F, function, counted)
    net = create(name=name).eval()
    clif.set_backend(net, "torch")
    clif.set_fuse_norm(net, False)
    net(images(N, size=size))
    assert batch_sizes == [N] + [T * N] * (len(batch_sizes) - 1)
    assert len(batch_sizes) >= 5


@pytest.mark.parametrize("neuron", NEURONS)
def test_the_network_starts_every_call_from_rest(neuron):
    net = create(neuron).eval()
    x = images(N)
    first = net(x)
    assert torch.equal(net(x), first)
    assert net(images(N + 1)).shape == (net.T, N + 1, 10)
    assert torch.equal(net(x), first)


@pytest.mark.parametrize("neuron", ["CLIF", "LIF", "PLIF"])
def test_in_training_the_neurons_keep_no_state_unless_told_to(neuron):
    net = create(neuron)
    neurons = [module for module in net.modules() if isinstance(module, clif.neurons.SpikingNeuron)]
    net(images(N)).sum().backward()
    assert all(node.state is None for node in neurons)
    with torch.no_grad():
        net(images(N))
    assert all(node.state is not None for node in neurons)
    clif.set_keep_state(net, True)
    net(images(N)).sum().backward()
    assert all(node.state is not None for node in neurons)


def test_the_length_of_a_sequence_is_free():
    assert create()(images(T + 2, N)).shape == (T + 2, N, 10)


def test_single_step_mode_keeps_the_state_until_a_reset():
    net = create().eval()
    clif.set_step_mode(net, "s")
    x = images(N)
    first, second = net(x), net(x)
    assert first.shape == (N, 10)
    assert not torch.equal(first, second)
    clif.reset_net(net)
    assert torch.equal(net(x), first)
    with pytest.raises(InputError, match=r"reset before a new batch: clif\.reset_net\(net\)"):
        net(images(N + 1))


def test_step_modes_can_be_switched_back():
    net = create().eval()
    x_seq = images(T, N)
    expected = net(x_seq)
    close(stepwise(net, x_seq), expected)
    clif.set_step_mode(net, "m")
    assert torch.equal(net(x_seq), expected)


@pytest.mark.parametrize("neuron", NEURONS)
def test_the_dropout_mask_is_shared_by_the_steps_of_a_call_only(neuron):
    net = create(neuron, drop_rate=0.5)
    before, after = [], []
    net.drop[1].register_forward_pre_hook(lambda _, args: before.append(args[0]))
    net.classifier.register_forward_pre_hook(lambda _, args: after.append(args[0]))
    x_seq = images(T, 20)
    net(x_seq)
    net(x_seq)
    alive = before[0].ne(0).all(0)
    first, second = (out[:, alive] != 0 for out in after)
    assert alive.sum() > 100
    assert torch.equal(first, first[:1].expand_as(first))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "size", "after_neurons", "after_pooling"),
    [
        ("spiking_resnet18", 16, 8, 1),
        ("spiking_resnet50", 16, 16, 1),
        ("spiking_vgg11_bn", 32, 8, 0),
        ("vggsnn", 32, 0, 1),
        ("snn5_noAP", 32, 1, 0),
    ],
)
def test_dropout_stands_where_the_original_has_it(name, size, after_neurons, after_pooling):
    net = create(name=name, drop_rate=0.5).float()
    dropped = []

    def remember(_, args, out):
        assert not torch.equal(args[0], out)
        dropped.append(set(args[0].unique().tolist()) <= {0.0, 1.0})

    for module in net.modules():
        if isinstance(module, layers.Dropout):
            module.register_forward_hook(remember)
    net(images(4, size=size).float())
    assert dropped == [True] * after_neurons + [False] * after_pooling


def test_relu_treats_every_step_alike():
    net = create("ReLU").eval()
    assert net(images(N)).shape == (1, N, 10)
    x_seq = images(T, N)
    close(net(x_seq), torch.stack([net(x)[0] for x in x_seq]))


def test_streams_do_not_disturb_each_other_or_the_network():
    net = create().eval()
    left, right = images(T, N), images(T, N + 1)
    expected = net(left), net(right)
    streams = net.stream(), net.stream()
    got = [[], []]
    for t in range(T):
        got[0].append(streams[0](left[t]))
        net(images(4))
        got[1].append(streams[1](right[t]))
    for steps, logits in zip(got, expected, strict=True):
        close(torch.stack(steps), logits)


def test_a_stream_leaves_the_networks_mode_and_state():
    net = create().eval()
    clif.set_step_mode(net, "s")
    x_seq = images(T, N)
    expected = stepwise(net, x_seq)
    clif.reset_net(net)
    step = net.stream()
    got = []
    for x in x_seq:
        got.append(net(x))
        step(images(N + 1))
    close(torch.stack(got), expected)
    clif.set_step_mode(net, "m")
    step(images(N + 1))
    assert {m.step_mode for m in net.modules() if isinstance(m, layers.StepModule)} == {"m"}


def test_a_stream_starts_anew_after_a_reset():
    step = create().eval().stream()
    x = images(N)
    first, second = step(x), step(x)
    assert not torch.equal(first, second)
    step.reset()
    assert torch.equal(step(x), first)


def test_a_stream_survives_a_wrong_input():
    net = create().eval()
    step = net.stream()
    x_seq = images(T, N)
    expected = net(x_seq)
    head = step(x_seq[0])
    with pytest.raises(InputError, match="reset before a new batch"):
        step(images(N + 1))
    with pytest.raises(InputError, match="takes an input"):
        step(images(T, N))
    close(torch.stack([head, *(step(x) for x in x_seq[1:])]), expected)
    assert net.step_mode == "m"


@pytest.mark.parametrize(("name", "size"), [("snn5_noAP", 32), ("spiking_resnet18", 16)])
@pytest.mark.parametrize("static", [True, False])
def test_channels_last_stays_through_the_network_and_changes_no_number(name, size, static):
    net = create(name=name)
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    channels_last = []

    def remember_format(_, args):
        for x in args[0].unbind(0):
            channels_last.append(x.is_contiguous(memory_format=torch.channels_last))

    for module in twin.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(remember_format)
    steps = images(N if static else T * N, size=size).contiguous(memory_format=torch.channels_last)
    x = steps if static else steps.unflatten(0, (T, N))
    got = everything(twin, twin, x)
    assert channels_last
    assert all(channels_last)
    close(got, everything(net, net, x.contiguous()))


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_training_on_one_sample_keeps_the_buffers_finite(step_mode):
    net = create()
    x_seq = images(T, 1)
    before = {name: b.clone() for name, b in net.named_buffers()}
    logits = net(x_seq) if step_mode == "m" else stepwise(net, x_seq)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(b.isfinite().all() for b in net.buffers())
    assert all(p.grad.isfinite().all() for p in net.parameters())
    changed = {name.split(".")[1] for name, b in net.named_buffers() if not torch.equal(b, before[name])}
    assert changed == {"0", "1", "2", "3"}


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_network_can_be_copied_and_saved_after_a_forward(neuron):
    net = create(neuron)
    x = images(N)
    logits = net(x)
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    twins = copy.deepcopy(net), torch.load(file, weights_only=False)
    logits.sum().backward()
    for twin in twins:
        assert twin.config == net.config
        twin.load_state_dict(net.state_dict())
        close(twin.eval()(x), net.eval()(x))
        with torch.no_grad():
            for p in twin.parameters():
                p.zero_()
    assert all(p.any() for name, p in net.named_parameters() if name.endswith("fwd.0.weight"))


@pytest.mark.parametrize("drop_rate", [0.0, 0.3])
def test_states_and_masks_are_no_part_of_the_state_dict(drop_rate):
    net = create(drop_rate=drop_rate)
    keys = list(net.state_dict())
    net(images(N))
    stepwise(net, images(1, N))
    assert list(net.state_dict()) == keys
    assert not [key for key in keys if "act" in key or "drop" in key]


@pytest.mark.parametrize(("name", "size"), [("spiking_resnet18", 20), ("spiking_vgg11_bn", 48)])
def test_resnets_and_vggs_take_other_image_sizes(name, size):
    net = models.create_model(name, T=2).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, size, size)).shape == (2, 1, 10)


@pytest.mark.parametrize(
    ("step_mode", "shape", "message"),
    [
        ("m", (3, 32, 32), r"takes an input \[N, 3, 32, 32\] or \[T, N, 3, 32, 32\], got \[3, 32, 32\]"),
        ("m", (2, 1, 32, 32), r"got \[2, 1, 32, 32\]; reshape the input or create the model with other in_channels"),
        ("m", (2, 3, 28, 28), r"got \[2, 3, 28, 28\]; .* or image_size"),
        ("s", (4, 2, 3, 32, 32), r"takes an input \[N, 3, 32, 32\], got \[4, 2, 3, 32, 32\]"),
    ],
)
def test_an_input_of_another_shape_is_refused(step_mode, shape, message):
    net = create()
    clif.set_step_mode(net, step_mode)
    with pytest.raises(InputError, match=message):
        net(torch.zeros(shape, dtype=torch.float64))


def test_a_resnet_names_the_free_image_size():
    with pytest.raises(InputError, match=r"takes an input \[N, 3, H, W\] or \[T, N, 3, H, W\], got \[2, 1, 32, 32\]"):
        models.create_model("spiking_resnet18")(torch.zeros(2, 1, 32, 32))


def test_an_integer_input_is_refused():
    with pytest.raises(InputError, match=r"takes a floating-point input, got torch\.uint8; use x\.float\(\)"):
        create()(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_the_prediction_is_the_argmax_of_the_mean_logits():
    logits = torch.tensor([[[3.0, 0, 0], [0, 1, 0]], [[0, 2, 0], [0, 0, 4]], [[0, 2, 0], [0, 0, 0]]])
    assert models.predict(logits).tolist() == [1, 2]


def test_a_network_keeps_the_layout_of_its_input_if_told_to():
    net = clif.models.create_model("snn5_noAP", T=2)
    seen = []
    net.features[0].register_forward_hook(lambda *call: seen.append(call[1][0][0]))
    x = torch.rand(2, 3, 32, 32)
    net(x)
    net.memory_format = torch.preserve_format
    net(x)
    assert [step.is_contiguous() for step in seen] == [False, True]
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
