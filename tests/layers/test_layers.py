import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif import layers
from clif.errors import InputError
from clif.neurons.blocks import fire


def sequence(T=3, N=2, C=4, size=6):
    """Random steps with a different mean and variance at each step."""
    x_seq = torch.randn(T, N, C, size, size, dtype=torch.float64)
    return x_seq * torch.linspace(0.5, 2, T, dtype=torch.float64).view(T, 1, 1, 1, 1) + torch.arange(T).view(
        T, 1, 1, 1, 1
    )


STATELESS = {
    "Conv2d": (layers.Conv2d(4, 5, 3, stride=2, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)),
    "AvgPool2d": (layers.AvgPool2d(2), nn.AvgPool2d(2)),
    "AdaptiveAvgPool2d": (layers.AdaptiveAvgPool2d(5), nn.AdaptiveAvgPool2d(5)),
    "Flatten": (layers.Flatten(), nn.Flatten()),
}


@pytest.mark.parametrize(("ours", "theirs"), STATELESS.values(), ids=STATELESS.keys())
def test_stateless_layers_apply_torchs_layer_to_every_step(ours, theirs):
    theirs.double().load_state_dict(ours.double().state_dict())
    x_seq = sequence()
    assert_close(ours(x_seq), torch.stack([theirs(x) for x in x_seq]), rtol=0, atol=1e-14)
    assert_close(ours(x_seq[0]), theirs(x_seq[0]), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["Conv2d", "AvgPool2d", "AdaptiveAvgPool2d"])
def test_stateless_layers_compute_a_repeated_image_once(name):
    layer, _ = STATELESS[name]
    image = sequence()[0]
    y = layer.double()(layers.repeat_image(image, 5))
    assert layers.is_repeated(y)
    assert_close(y, layer(image).expand_as(y), rtol=0, atol=0)


def test_a_sequence_counts_as_repeated_only_where_it_is_one_image_in_memory():
    image = torch.randn(2, 3, 4, 4)
    repeated = layers.repeat_image(image, 6)
    assert repeated.shape == (6, 2, 3, 4, 4)
    assert layers.is_repeated(repeated)
    assert repeated.data_ptr() == image.data_ptr()
    assert not layers.is_repeated(repeated.contiguous())
    assert not layers.is_repeated(layers.repeat_image(image, 1))


@pytest.mark.parametrize("repeated", [False, True])
def test_batch_norm_trains_on_a_sequence_as_torchs_does_on_its_steps(repeated):
    ours, theirs = layers.BatchNorm2d(4).double(), nn.BatchNorm2d(4).double()
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.3)
        nn.init.constant_(norm.bias, -0.2)
    source = sequence()[2] if repeated else sequence(T=4)
    g = torch.randn(4, 2, 4, 6, 6, dtype=torch.float64)

    results = []
    for norm, forward in [(ours, ours), (theirs, lambda x_seq: torch.stack([theirs(x) for x in x_seq]))]:
        x = source.clone().requires_grad_()
        y = forward(layers.repeat_image(x, 4) if repeated else x)
        results.append([y, *torch.autograd.grad((y * g).sum(), [x, norm.weight, norm.bias]), *norm.buffers()])
    assert_close(*results, rtol=1e-12, atol=1e-12)
    assert ours.num_batches_tracked == 4


def test_batch_norm_of_one_step_is_torchs():
    ours, theirs = layers.BatchNorm2d(4).double(), nn.BatchNorm2d(4).double()
    x = sequence()[1]
    assert_close(ours(x), theirs(x), rtol=0, atol=0)
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-15)


def test_batch_norm_evaluates_with_the_running_statistics_and_leaves_them():
    norm = layers.BatchNorm2d(4).double()
    norm(sequence())
    norm.eval()
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    x_seq = sequence()
    mean, var = (before[key].view(4, 1, 1) for key in ("running_mean", "running_var"))
    assert_close(norm(x_seq), (x_seq - mean) / (var + 1e-5).sqrt(), rtol=1e-12, atol=1e-12)
    assert_close(dict(norm.state_dict()), before, rtol=0, atol=0)
    assert layers.is_repeated(norm(layers.repeat_image(x_seq[0], 3)))


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (3, 1, 4, 1, 1)])
def test_batch_norm_of_a_single_value_uses_and_keeps_the_running_statistics(shape):
    norm = layers.BatchNorm2d(4).double()
    norm(sequence())
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    x = torch.randn(shape, dtype=torch.float64)
    y = norm(x)
    assert_close(y, norm.eval()(x), rtol=0, atol=0)
    assert_close(dict(norm.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("T", [1, 2])
def test_the_gradient_of_batch_norm_for_one_image_is_right_in_any_layout(T, training):
    norm, image, d_y = layers.BatchNorm2d(4).double().train(training), *sequence(2 * T, N=1).flatten(0, 1).chunk(2)
    layouts = [torch.contiguous_format, torch.channels_last]
    gradients = []
    for of_x, of_y in itertools.product(layouts, layouts):
        x_seq = image.contiguous(memory_format=of_x).unflatten(0, (T, 1)).requires_grad_()
        norm(x_seq).backward(d_y.contiguous(memory_format=of_y).unflatten(0, (T, 1)))
        gradients.append([x_seq.grad, norm.weight.grad])
        norm.zero_grad()
    for found in gradients[1:]:
        assert_close(found, gradients[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("without", ["tracking", "running statistics"])
@pytest.mark.parametrize("fused", [False, True])
def test_batch_norm_without_running_statistics_is_torchs(fused, without, training):
    ours, theirs = (norm.double().train(training) for norm in (layers.BatchNorm2d(4), nn.BatchNorm2d(4)))
    for norm in (ours, theirs):
        norm.track_running_stats = False
        if without == "running statistics":
            norm.running_mean = norm.running_var = None
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    node = clif.LIFNode(step_mode="m").double()
    x_seq = sequence().flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (-1, 2))
    found = fire(node, ours, x_seq) if fused else node(ours(x_seq))
    node.reset()
    assert_close(found, node(torch.stack([theirs(x) for x in x_seq])), rtol=0, atol=0)
    assert_close(dict(ours.state_dict()), before, rtol=0, atol=0)


def test_dropout_keeps_one_mask_over_a_sequence():
    y_seq = layers.Dropout(0.4, step_mode="m")(torch.ones(5, 2, 100))
    assert torch.equal(y_seq, y_seq[:1].expand_as(y_seq))
    assert set(y_seq.unique().tolist()) == {0.0, torch.tensor(1 / 0.6).item()}


def test_dropout_draws_a_new_mask_for_every_sequence():
    dropout = layers.Dropout(0.5, step_mode="m")
    x_seq = torch.ones(2, 1, 100)
    assert not torch.equal(dropout(x_seq), dropout(x_seq))


def test_dropout_drops_the_given_share():
    """The standard deviation of the mean of 40,000 draws is 0.0023."""
    y = layers.Dropout(0.3)(torch.ones(40_000))
    assert (y == 0).double().mean().item() == pytest.approx(0.3, abs=0.012)


def test_dropout_keeps_its_mask_from_reset_to_reset_in_single_step_mode():
    dropout = layers.Dropout(0.5)
    x = torch.ones(2, 100)
    first = dropout(x)
    assert torch.equal(first, dropout(x))
    clif.reset_net(dropout)
    assert not torch.equal(first, dropout(x))


def test_dropout_draws_the_same_mask_in_both_modes():
    x_seq = torch.randn(4, 3, 10)
    torch.manual_seed(1)
    many = layers.Dropout(0.5, step_mode="m")(x_seq)
    torch.manual_seed(1)
    single = layers.Dropout(0.5)
    assert torch.equal(many, torch.stack([single(x) for x in x_seq]))


def test_keyed_dropout_refuses_a_sequence_in_single_step_mode():
    dropout = layers.Dropout(0.5)
    layers.key_dropout(dropout, torch.arange(3))
    with pytest.raises(
        InputError, match=r"got samples \[4, 3, 10\] and the keys of 3; .* needs Dropout\(p, step_mode="
    ):
        dropout(torch.randn(4, 3, 10))


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_dropout_passes_everything_in_evaluation_and_at_rate_zero(step_mode):
    x_seq = torch.randn(3, 2, 4)
    assert layers.Dropout(0.5, step_mode).eval()(x_seq) is x_seq
    assert layers.Dropout(0.0, step_mode)(x_seq) is x_seq


def test_dropout_refuses_a_changed_batch_before_a_reset():
    dropout = layers.Dropout(0.5)
    dropout(torch.ones(2, 3))
    with pytest.raises(InputError, match=r"mask has shape \[2, 3\] but the input \[4, 3\]; reset before a new batch"):
        dropout(torch.ones(4, 3))
    dropout.reset()
    assert dropout(torch.ones(4, 3)).shape == (4, 3)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_dropout_rate_outside_0_to_1_is_refused(p):
    with pytest.raises(InputError, match=r"the dropout rate must be in \[0, 1\), got"):
        layers.Dropout(p)


def test_an_unknown_step_mode_is_refused():
    with pytest.raises(InputError, match=r"""step_mode must be "s" \(one step\) or "m" .*, got 'x'"""):
        layers.Dropout(0.5, step_mode="x")
    dropout = layers.Dropout(0.5)
    with pytest.raises(InputError, match='step_mode must be "s"'):
        dropout.step_mode = "multi"
    assert dropout.step_mode == "s"


def test_a_stateless_module_refuses_a_state():
    module = layers.StepModule()
    module.state = None
    with pytest.raises(InputError, match="StepModule has no state to set"):
        module.state = (torch.zeros(1),)


def test_a_repeated_leaf_gets_its_gradient_step_by_step():
    image = torch.randn(4, 2, 3, 3)
    weight = torch.randn(3, 4, 2, 3, 3)
    gradients = []
    for x in (image.expand(3, -1, -1, -1, -1), image.repeat(3, 1, 1, 1, 1)):
        x.requires_grad_()
        (layers.BatchNorm2d(2)(x) * weight).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_dropout_mask_follows_the_module():
    dropout = layers.Dropout(0.5)
    dropout(torch.ones(2, 3))
    assert dropout.double().mask.dtype == torch.float64


@pytest.mark.parametrize(("norm", "shape"), [(layers.BatchNorm2d, (2, 3, 5, 4, 4)), (layers.BatchNorm1d, (2, 3, 5))])
def test_batch_norms_take_the_options_of_torch(norm, shape):
    options = {"step_mode": "m"} if norm is layers.BatchNorm1d else {}
    assert norm(5, device="meta", **options).weight.is_meta
    x = torch.rand(*shape, dtype=torch.float64)
    without = norm(5, track_running_stats=False, dtype=torch.float64, **options).eval()
    assert without.running_mean is None
    expected = getattr(torch.nn, norm.__name__)(5, track_running_stats=False, dtype=torch.float64).eval()
    torch.testing.assert_close(without(x), torch.stack([expected(step) for step in x]))
    with pytest.raises(InputError, match="always has weight and bias"):
        norm(5, affine=False, **options)


def affine_to_synchronise(norm):
    return norm.affine


def test_batch_norms_are_not_made_torchs_that_mix_up_the_axes():
    net = torch.nn.Sequential(layers.Conv2d(3, 4, 3), layers.BatchNorm2d(4))
    with pytest.raises(
        InputError, match=r"axis 1 of \[T, N, C, H, W\].*--sync-bn.*clif\.train\.synchronise_batch_norms"
    ):
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert net[1].affine
    assert "affine=True" in repr(net[1])
    assert affine_to_synchronise(net[1])
    clif.train.synchronise_batch_norms(net)
    assert type(net[1]).__name__ == "SyncBatchNorm2d"
    copy.deepcopy(net)


@pytest.mark.parametrize("repeated", [False, True])
def test_without_momentum_the_running_statistics_are_the_mean_over_all_steps(repeated):
    norm = layers.BatchNorm2d(2, momentum=None).double()
    x_seq = [torch.randn(1 if repeated else 3, 5, 2, 4, 4, dtype=torch.float64) for _ in range(2)]
    for x in x_seq:
        norm(x.expand(3, -1, -1, -1, -1))
    var, mean = torch.var_mean(torch.cat([x.expand(3, -1, -1, -1, -1) for x in x_seq]), dim=(1, 3, 4))
    torch.testing.assert_close(norm.running_mean, mean.mean(0))
    torch.testing.assert_close(norm.running_var, var.mean(0))
    assert norm.num_batches_tracked == 6


def weight_gradient(conv, x, dtype):
    """The gradient of the weights under autocast, computed where memory that is not written has NaN."""
    weight = conv.weight
    junk = [torch.full((weight.numel() // part,), math.nan) for part in (1, 1, 2, 2)]
    del junk
    weight.grad = None
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        out = conv(x)
    out.backward(torch.ones_like(out))
    return out.dtype, weight.grad


@pytest.mark.parametrize(("kernel", "stride", "padding", "width"), [(5, 4, 1, 3), (3, 2, 1, 1), (3, 3, 1, 2)])
@pytest.mark.parametrize("kind", [layers.Conv1d, layers.Conv2d])
def test_weights_that_read_only_padding_have_no_gradient_in_bfloat16(kind, kernel, stride, padding, width):
    """PyTorch leaves it uninitialised on processors with bfloat16."""
    torch.manual_seed(0)
    conv = kind(64, 64, kernel, stride, padding)
    x = torch.rand(3, 4, 64, *[width] * (conv.weight.dim() - 2))
    _, expected = weight_gradient(conv, x, torch.float32)
    for _ in range(5):
        dtype, actual = weight_gradient(conv, x, torch.bfloat16)
        assert dtype == torch.bfloat16
        assert_close(actual, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())
    assert (expected == 0).any()
