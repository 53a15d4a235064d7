"""Layers for one-dimensional data and sequences: the result for a sequence is that for its steps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

import clif
from clif import layers
from clif.errors import InputError

STATELESS = {
    "Conv1d": (layers.Conv1d(4, 5, 3, stride=2, padding=1), nn.Conv1d(4, 5, 3, stride=2, padding=1), (4, 7)),
    "MaxPool2d": (layers.MaxPool2d(3, stride=2, padding=1), nn.MaxPool2d(3, stride=2, padding=1), (4, 6, 7)),
    "Linear": (layers.Linear(4, 3), nn.Linear(4, 3), (4,)),
    "Linear of rows": (layers.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False), (5, 4)),
}


@pytest.mark.parametrize(("ours", "theirs", "shape"), STATELESS.values(), ids=STATELESS.keys())
@pytest.mark.parametrize("repeated", [False, True])
def test_stateless_layers_apply_torchs_layer_to_every_step(ours, theirs, shape, repeated):
    theirs.double().load_state_dict(ours.double().state_dict())
    x_seq = torch.randn(3, 2, *shape, dtype=torch.float64)
    x_seq = layers.repeat_image(x_seq[0], 3) if repeated else x_seq
    y_seq = ours(x_seq)
    assert layers.is_repeated(y_seq) == repeated
    assert_close(y_seq, torch.stack([theirs(x) for x in x_seq]), rtol=0, atol=1e-14)
    assert_close(ours(x_seq[0]), theirs(x_seq[0]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1d(4, 5, 3), (2, 3, 7), r"Conv1d takes one step \[N, 4, L\] or a sequence \[T, N, 4, L\], got an"),
        (layers.Conv1d(4, 5, 3), (4, 7), r"got an input \[4, 7\]"),
        (layers.Conv2d(3, 5, 3), (2, 3, 8), r"Conv2d takes one step \[N, 3, H, W\] or a sequence \[T, N, 3, H, W\]"),
        (layers.Conv2d(3, 5, 3), (2, 8, 8, 3), r"got an input \[2, 8, 8, 3\]"),
        (layers.MaxPool2d(2), (8, 8), r"MaxPool2d takes one step \[N, C, H, W\] or a sequence \[T, N, C, H, W\]"),
        (layers.AvgPool2d(2), (1, 1, 1, 1, 8, 8), r"AvgPool2d takes one step"),
        (layers.AdaptiveAvgPool2d(2), (3, 8, 8), r"AdaptiveAvgPool2d takes one step"),
        (layers.BatchNorm2d(3), (2, 4, 8, 8), r"BatchNorm2d takes one step \[N, 3, H, W\] or .*\[T, N, 3, H, W\]"),
        (layers.Linear(4, 3), (2, 5), r"Linear takes one step \[N, \*, 4\] or a sequence \[T, N, \*, 4\], got an"),
        (layers.Linear(4, 3), (4,), r"got an input \[4\]"),
        (layers.Flatten(), (3, 2, 8), r"Flatten takes one step \[N, C, H, W\] or a sequence \[T, N, C, H, W\], got an"),
        (layers.Flatten(), (2, 8), r"got an input \[2, 8\]"),
        (layers.BatchNorm2d(3), (0, 2, 3, 4, 4), r"BatchNorm2d takes a sequence with T ≥ 1, got \[0, 2, 3, 4, 4\]"),
        (layers.BatchNorm1d(3, step_mode="m"), (0, 2, 3), r"BatchNorm1d takes a sequence with T ≥ 1, got \[0, 2, 3\]"),
        (layers.Dropout(0.5, step_mode="m"), (0, 2, 3), r"Dropout takes a sequence with T ≥ 1, got \[0, 2, 3\]"),
    ],
)
def test_another_layout_is_refused_with_the_one_expected(layer, shape, expected):
    with pytest.raises(InputError, match=expected):
        layer(torch.rand(shape))


def test_max_pooling_gives_no_indices():
    with pytest.raises(InputError, match="returns no indices; leave out return_indices"):
        layers.MaxPool2d(2, return_indices=True)(torch.rand(1, 1, 4, 4))


@settings(max_examples=20, deadline=None)
@given(T=st.integers(1, 4), N=st.integers(1, 4), L=st.integers(0, 3), repeated=st.booleans(), seed=st.integers(0, 1000))
def test_batch_norm_1d_trains_on_a_sequence_as_torchs_does_on_its_steps(T, N, L, repeated, seed):
    torch.manual_seed(seed)
    shape = (3, L) if L else (3,)
    if N * max(L, 1) == 1:
        return
    ours, theirs = layers.BatchNorm1d(3, step_mode="m").double(), nn.BatchNorm1d(3).double()
    nn.init.uniform_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1 if repeated else T, N, *shape, dtype=torch.float64).expand(T, N, *shape)
    y_seq = ours(x)
    assert_close(y_seq, torch.stack([theirs(step) for step in x]), rtol=1e-10, atol=1e-10)
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-10, atol=1e-12)
    assert_close(ours.eval()(x), torch.stack([theirs.eval()(step) for step in x]), rtol=1e-10, atol=1e-12)


def test_batch_norm_1d_goes_by_its_step_mode():
    norm = layers.BatchNorm1d(4)
    x = torch.randn(4, 4, 4)
    assert_close(norm(x), nn.BatchNorm1d(4)(x))
    clif.set_step_mode(norm, "m")
    assert_close(norm(x), torch.stack([nn.BatchNorm1d(4)(step) for step in x]))


@pytest.mark.parametrize(
    ("step_mode", "shape", "expected"),
    [
        ("s", (6, 2, 4), r'step_mode="s" takes \[N, 4\] or \[N, 4, L\], got an input \[6, 2, 4\]; for a sequence'),
        ("m", (2, 4), r'step_mode="m" takes \[T, N, 4\] or \[T, N, 4, L\], got an input \[2, 4\]; for one step'),
        ("m", (6, 2, 5), r"got an input \[6, 2, 5\]"),
    ],
)
def test_batch_norm_1d_refuses_another_layout(step_mode, shape, expected):
    with pytest.raises(InputError, match=expected):
        layers.BatchNorm1d(4, step_mode=step_mode)(torch.rand(shape))


def test_batch_norm_1d_keeps_its_statistics_for_a_single_value_and_is_never_synchronised():
    norm = layers.BatchNorm1d(4)
    assert_close(norm(torch.ones(1, 4)), torch.full((1, 4), (1 + 1e-5) ** -0.5))
    assert norm.num_batches_tracked == 0
    for other in (norm, nn.BatchNorm2d(4)):
        with pytest.raises(
            InputError, match=r"sync_bn is for BatchNorm2d of clif\.layers, and 0 is a .*BatchNorm[12]d"
        ):
            clif.train.synchronise_batch_norms(nn.Sequential(other))
    with pytest.raises(InputError, match=r"axis 1 of \[T, N, C\]"):
        nn.SyncBatchNorm.convert_sync_batchnorm(norm)


@pytest.mark.parametrize("module", [nn.Flatten(), nn.Sequential(nn.BatchNorm1d(3), nn.Flatten()), nn.InstanceNorm1d(3)])
def test_time_distributed_gives_what_calls_of_the_steps_give(module):
    x_seq = torch.randn(4, 2, 3, 5) * torch.arange(1, 5).view(4, 1, 1, 1)
    wrapped = layers.TimeDistributed(module, step_mode="m")
    expected = torch.stack([module(x) for x in x_seq])
    assert_close(wrapped(x_seq), expected)
    assert_close(wrapped.eval()(x_seq), torch.stack([module(x) for x in x_seq]))
    clif.set_step_mode(wrapped, "s")
    assert_close(wrapped(x_seq[0]), module(x_seq[0]))


def test_time_distributed_computes_a_repeated_image_once():
    wrapped = layers.TimeDistributed(nn.Flatten(), step_mode="m")
    assert layers.is_repeated(wrapped(layers.repeat_image(torch.rand(2, 3, 4), 5)))


def test_time_distributed_refuses_modules_that_take_sequences_and_inputs_without_time():
    with pytest.raises(InputError, match=r"takes modules without a step mode; LIFNode, 1, takes sequences itself"):
        layers.TimeDistributed(nn.Sequential(nn.Flatten(), clif.LIFNode()))
    with pytest.raises(InputError, match=r"a sequence \[T, N, \*\] with T ≥ 1, got an input \[3\]"):
        layers.TimeDistributed(nn.Flatten(), step_mode="m")(torch.rand(3))


def test_time_distributed_takes_the_statistics_of_each_step_from_a_norm_without_running_ones():
    norm = nn.BatchNorm1d(4, track_running_stats=False).eval()
    x_seq = torch.randn(3, 8, 4) + torch.arange(3.0).view(3, 1, 1)
    distributed = layers.TimeDistributed(norm, step_mode="m").eval()
    assert_close(distributed(x_seq), torch.stack([norm(x) for x in x_seq]), rtol=0, atol=0)


class Poisson(nn.Module):
    def forward(self, x):
        return (torch.rand_like(x) <= x).to(x.dtype)


@pytest.mark.parametrize("module", [nn.Dropout(0.5), nn.RReLU(), Poisson(), nn.Sequential(nn.Flatten(), Poisson())])
def test_time_distributed_draws_anew_at_each_step_of_a_repeated_image(module):
    distributed = layers.TimeDistributed(module, step_mode="m")
    x = -torch.rand(4, 50) if isinstance(module, nn.RReLU) else torch.full((4, 50), 0.5)
    first, second = distributed(layers.repeat_image(x, 2))
    assert not torch.equal(first, second)


def test_time_distributed_draws_anew_where_a_hook_or_a_replaced_forward_does():
    for change in (
        lambda module: module.register_forward_hook(lambda _module, _inputs, y: nn.functional.dropout(y)),
        lambda module: setattr(module, "forward", nn.functional.dropout),
    ):
        module = nn.Sequential(nn.Flatten())
        change(module[0])
        first, second = layers.TimeDistributed(module, step_mode="m")(layers.repeat_image(torch.ones(4, 50), 2))
        assert not torch.equal(first, second)


@pytest.mark.parametrize("module", [nn.Dropout(0.5), nn.RReLU(), nn.Sequential(nn.Linear(50, 3), nn.BatchNorm1d(3))])
def test_time_distributed_computes_a_repeated_image_once_in_evaluation(module):
    distributed = layers.TimeDistributed(module, step_mode="m").eval()
    assert layers.is_repeated(distributed(layers.repeat_image(torch.randn(4, 50), 2)))


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_time_distributed_refuses_modules_that_return_more_than_a_tensor(step_mode):
    distributed = layers.TimeDistributed(nn.LSTM(4, 4), step_mode=step_mode)
    with pytest.raises(InputError, match="takes a module that returns one tensor; a LSTM returned a tuple"):
        distributed(torch.rand(3, 2, 5, 4)[0 if step_mode == "s" else slice(None)])
