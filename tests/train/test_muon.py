"""Muon compared with its definition: orthogonal steps of a fixed angle, and torch's SGD for all other parameters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune
from torch.testing import assert_close

from clif.errors import InputError
from clif.models import create_model
from clif.precision import Precision
from clif.train import resolve
from clif.train.muon import Muon, hidden_weights, orthogonalise
from clif.train.optimizers import make_optimizer


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 24), columns=st.integers(1, 24), seed=st.integers(0, 10**6))
def test_the_singular_values_of_a_step_are_near_one(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    exact = u @ vh
    found = orthogonalise(matrix)
    strong = s > 0.05 * s.norm()
    inner = torch.diagonal(u.mT @ found @ vh.mT)[strong]
    assert ((inner > 0.6) & (inner < 1.3)).all()
    if strong.all():
        assert (found * exact).sum() / (found.norm() * exact.norm()) > 0.95


def test_a_step_turns_a_weight_by_the_rate_and_keeps_its_norm():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 4, 3, 3, dtype=torch.float64))
    before = weight.detach().clone()
    weight.grad = torch.randn_like(weight)
    Muon([{"params": [weight], "orthogonal": True}], lr=0.1, momentum=0.6).step()
    direction = orthogonalise(weight.grad.flatten(1)).view_as(weight)
    moved = before - 0.1 * before.norm() * direction / direction.norm()
    assert_close(weight.detach(), moved * before.norm() / moved.norm())
    assert_close(weight.detach().norm(), before.norm())


def test_the_other_parameters_are_trained_by_nesterovs_sgd():
    torch.manual_seed(0)
    start, grads = torch.randn(5), torch.randn(4, 5)
    ours, torchs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = (
        Muon([ours], lr=0.1, momentum=0.8, weight_decay=0.01),
        torch.optim.SGD([torchs], lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True),
    )
    for grad in grads:
        for parameter, optimizer in zip((ours, torchs), optimizers, strict=True):
            parameter.grad = grad.clone()
            optimizer.step()
    assert_close(ours, torchs)


def test_a_closure_and_parameters_without_gradient_are_taken():
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = Muon([used, idle], lr=0.5, momentum=0.0)

    def closure():
        optimizer.zero_grad()
        loss = used.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 2
    assert_close(used.detach(), torch.zeros(2))
    assert_close(idle.detach(), torch.ones(2))


@pytest.mark.parametrize("model", ["snn7", "spiking_resnet18"])
def test_the_hidden_weights_are_those_of_all_convolutions_but_the_first(model):
    net = create_model(model)
    convolutions = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert [id(weight) for weight in hidden_weights(net)] == [id(weight) for weight in convolutions[1:]]


@pytest.mark.parametrize("change", [nn.utils.parametrizations.weight_norm, lambda m: prune.identity(m, "weight")])
def test_a_weight_that_is_computed_is_trained_by_sgd(change):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), change(nn.Conv2d(2, 2, 3)), nn.Conv2d(2, 2, 3))
    config = resolve("digits", opt="Muon")
    turned, others = make_optimizer(config, net, Precision("cpu", torch.float32, "", "")).param_groups
    assert [id(weight) for weight in turned["params"]] == [id(net[2].weight)]
    assert len(others["params"]) == len(list(net.parameters())) - 1


@pytest.mark.parametrize(("options", "rates"), [({"sgd_lr": 0.0}, {0.05}), ({"sgd_lr": 0.4}, {0.4})])
def test_what_sgd_trains_may_have_a_rate_of_its_own(options, rates):
    config = resolve("cifar10_fast", lr=0.05, no_decay_norm_bias=True, **options)
    net = create_model("snn7")
    turned, *others = make_optimizer(config, net, Precision("cpu", torch.float32, "", "")).param_groups
    assert (turned["orthogonal"], turned["lr"]) == (True, 0.05)
    assert {group["lr"] for group in others} == rates


def test_a_rate_for_sgd_belongs_to_muon():
    with pytest.raises(InputError, match="sgd_lr must be 0 with --opt SGD"):
        resolve("digits", opt="SGD", sgd_lr=0.1)
