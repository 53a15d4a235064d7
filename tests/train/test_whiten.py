"""The first filters of a run with -whiten: their responses to training images are uncorrelated and equal."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from clif.data import create_loader
from clif.errors import InputError
from clif.train.checkpoint import read_checkpoint
from clif.train.loop import Trainer
from clif.train.whiten import whiten_first_layer, whitening_filters


def test_the_responses_are_white():
    torch.manual_seed(0)
    images = F.avg_pool2d(torch.randn(200, 3, 24, 24), 3, 1) * 3  # neighbours are correlated
    filters = whitening_filters(images, 70, 3, seed=0)
    assert filters.shape == (70, 3, 3, 3)
    responses = F.conv2d(images.double(), filters[:27].double()).transpose(0, 1).flatten(1)
    covariance = torch.cov(responses)
    strength = covariance.diagonal()
    assert_close(covariance - strength.diag(), torch.zeros(27, 27, dtype=torch.float64), rtol=0, atol=1e-6)
    assert (strength < 1).all()
    assert strength[0] > 0.99
    assert_close(filters[27:54], -filters[:27])
    assert not torch.equal(filters[54:], whitening_filters(images, 70, 3, seed=1)[54:])


def test_few_filters_are_the_strongest_directions():
    images = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert_close(whitening_filters(images, 4, 2, 0)[:3], whitening_filters(images, 9, 2, 0)[:3])


@pytest.mark.parametrize("net", [nn.Linear(3, 3), nn.Conv2d(1, 8, 3), nn.Conv2d(3, 8, (1, 3))])
def test_a_network_without_such_a_layer_is_refused(net):
    with pytest.raises(InputError, match="whiten needs a network whose first layer is a convolution"):
        whiten_first_layer(net, torch.randn(2, 3, 8, 8), 0)


def test_a_run_begins_with_the_filters_of_its_training_images(config, tiny_cifar10):
    options = config(whiten=True, ema=0.9, save_init=True, val_split=0.2)
    trainer = Trainer(options, quiet=True)
    images = torch.cat([x for x, _ in create_loader(
        "cifar10", tiny_cifar10, batch_size=16, val_split=0.2, shuffle=False, augment=False)])  # fmt: skip
    folder = trainer.fit().folder
    content = read_checkpoint(folder / "checkpoint_0.pth")
    name = next(name for name, value in content["net"].items() if value.dim() == 4)
    expected = whitening_filters(images, len(content["net"][name]), 3, options.seed)
    for part in ("net", "net_raw"):
        assert_close(content[part][name], expected)


def test_whiten_and_pre_train_are_refused_together(config):
    with pytest.raises(InputError, match="whiten and pre_train both set the weights of the first layer"):
        config(whiten=True, pre_train="somewhere")
