"""Sizes as one number or two, and networks for images that are not square."""

import numpy as np
import pytest
import torch

import clif
from clif.energy import estimate
from clif.errors import InputError
from clif.models import create_model
from clif.sizes import height_width, plain_size


@pytest.mark.parametrize(
    ("given", "plain", "both"), [(8, 8, (8, 8)), ([8, 8], 8, (8, 8)), ((3, np.int64(5)), (3, 5), (3, 5))]
)
def test_a_size_is_one_number_if_its_sides_are_equal(given, plain, both):
    assert (plain_size(given), height_width(plain_size(given))) == (plain, both)


@pytest.mark.parametrize("given", ["8x8", 0, (8, 8, 8), (8, -1), 8.0, None, True, ()])
def test_what_is_no_size_is_refused(given):
    with pytest.raises(InputError, match="image_size must be a whole number of pixels, or"):
        plain_size(given)


@pytest.mark.parametrize("name", ["snn5_noAP", "snn7", "spiking_vgg11_bn", "spiking_resnet18"])
def test_networks_take_images_that_are_not_square(name, tmp_path):
    net = create_model(name, "LIF", num_classes=3, in_channels=2, T=2, image_size=(32, 48)).eval()
    assert (net.sample_shape, net.config["image_size"]) == ((2, 32, 48), (32, 48))
    frames = torch.rand(2, 1, 2, 32, 48)
    logits = net(frames)
    assert logits.shape == (2, 1, 3)
    path = tmp_path / "checkpoint.safetensors"
    clif.export.to_safetensors(net, path)
    assert torch.equal(clif.load(path)(frames), logits)
    macs = estimate(net, [(frames, torch.zeros(1, dtype=torch.int64))]).macs
    square = create_model(name, "LIF", num_classes=3, in_channels=2, T=2, image_size=32).eval()
    if name == "spiking_vgg11_bn":
        assert macs == 1.5 * estimate(square, [(frames[..., :32], torch.zeros(1, dtype=torch.int64))]).macs


def test_a_network_of_one_size_says_which():
    net = create_model("snn5_noAP", num_classes=3, in_channels=2, T=2, image_size=(16, 24))
    with pytest.raises(InputError, match=r"takes an input \[N, 2, 16, 24\] or \[T, N, 2, 16, 24\], got"):
        net(torch.rand(2, 1, 2, 24, 16))
    with pytest.raises(InputError, match=r"image_size=\(8, 48\) is too small"):
        create_model("vggsnn", num_classes=3, in_channels=2, image_size=(8, 48))
    with pytest.raises(InputError, match="needs image_size ≥ 32"):
        create_model("spiking_vgg11_bn", num_classes=3, in_channels=2, image_size=(64, 30))


def test_a_stream_takes_events_of_a_sensor_that_is_not_square():
    net = create_model("snn7", num_classes=3, in_channels=2, T=2, image_size=(16, 24))
    stream = clif.deploy.StreamPredictor(net)
    stream.feed_events({"t": np.array([0]), "x": np.array([23]), "y": np.array([15]), "p": np.array([1])})
    with pytest.raises(InputError, match="outside"):
        stream.feed_events({"t": np.array([0]), "x": np.array([15]), "y": np.array([23]), "p": np.array([1])})
