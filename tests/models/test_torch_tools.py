"""Tools of PyTorch that read a network's parameters and batch norms."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, parametrizations, prune, vector_to_parameters
from torch.optim import swa_utils
from torch.testing import assert_close

import clif
from clif import models
from clif.models.network import step_by_step


def network(name="snn5_noAP", **options):
    return models.create_model(name, **{"in_channels": 2, "T": 3, **options})


def images(*leading, channels=2):
    return torch.rand(*leading, channels, 32, 32)


@pytest.mark.parametrize("name", ["snn5_noAP", "spiking_resnet18", "spiking_vgg11_bn"])
@pytest.mark.parametrize("channels", [1, 3])
def test_weights_are_contiguous_and_what_is_computed_channels_last(name, channels):
    net = network(name, in_channels=channels, T=2)
    assert all(p.is_contiguous() for p in net.parameters())
    seen = []

    def look(_module, inputs):
        seen.append(all(step.is_contiguous(memory_format=torch.channels_last) for step in inputs[0].unbind(0)))
        if inputs[0].shape[-3] > 1:
            seen.append(not inputs[0].is_contiguous())

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(look)
    for x in (images(2, channels=channels), images(2, 2, channels=channels)):
        net(x)
    assert seen
    assert all(seen)


def test_parameters_become_a_vector_and_come_back():
    net = network()
    vector = parameters_to_vector(net.parameters())
    vector_to_parameters(2 * vector, net.parameters())
    net(images(2)).sum().backward()
    assert torch.equal(parameters_to_vector(net.parameters()), 2 * vector)
    assert parameters_to_vector([p.grad for p in net.parameters()]).shape == vector.shape


def test_pruned_weights_are_0_in_training_and_afterwards():
    net = network()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            prune.l1_unstructured(module, "weight", 0.5)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(images(2)).square().mean().backward()
    optimizer.step()
    conv = net.features[2].fwd[0]
    net.eval()(images(2))
    assert (conv.weight == 0).double().mean() == pytest.approx(0.5, abs=1e-3)
    prune.remove(conv, "weight")
    assert net.stream()(images(2)).shape == (2, 10)


def test_lbfgs_lowers_the_loss():
    net = network(surrogate="sigmoid", T=1)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=3, line_search_fn="strong_wolfe")
    x, losses = images(4), []

    def closure():
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    assert min(losses) < losses[0]


@pytest.mark.parametrize("normalise", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_normalised_weights_train(normalise):
    net = network()
    for module in list(net.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            normalise(module)
    net(images(2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("static", [True, False])
def test_update_bn_takes_the_mean_over_all_batches_and_steps(static):
    net = network()
    twin = copy.deepcopy(net)
    batches = [images(4) if static else images(3, 4) for _ in range(2)]
    swa_utils.update_bn([(x, 0) for x in batches], net)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    for x in batches:
        step_by_step(twin, x)
    buffers = dict(twin.named_buffers())
    for name, value in net.named_buffers():
        assert_close(value, buffers[name], rtol=1e-4, atol=1e-5)
    assert net.features[0].fwd[1].num_batches_tracked == 6
    assert net.features[0].fwd[1].momentum == 0.1


def test_an_averaged_model_is_a_network_at_rest():
    net = network()
    net(images(2)).sum().backward()
    averaged = swa_utils.AveragedModel(net)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    averaged.update_parameters(net)
    averaged.update_parameters(net)
    assert averaged(images(2)).shape == (3, 2, 10)


def test_data_parallel_on_a_cpu():
    net = network().eval()
    x = images(2)
    with torch.no_grad():
        assert torch.equal(nn.DataParallel(net)(x), net(x))


def test_weights_in_another_layout_give_the_same_numbers():
    net = network().eval()
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    x = images(3, 2)
    with torch.no_grad():
        assert torch.equal(net(x), twin(x))
    net.load_state_dict(twin.state_dict())
    assert all(p.is_contiguous() for p in net.parameters())
    clif.reset_net(net)
