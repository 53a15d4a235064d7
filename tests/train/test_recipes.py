"""The recipes' values and figures compared with those of the paper and its repository."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from clif.data import get_dataset
from clif.models import create_model
from clif.train.config import list_recipes, read_recipe, resolve

RESNET = {"model": "spiking_resnet18", "b": 128, "epochs": 200, "lr": 0.1, "drop_rate": 0.0, "mse_n_reg": False}
CIFAR10 = {"dataset": "cifar10", "weight_decay": 5e-5, **RESNET}
CIFAR100 = {"dataset": "cifar100", "weight_decay": 5e-4, **RESNET}
TINY = {
    "dataset": "tiny_imagenet",
    "model": "spiking_vgg13_bn",
    "weight_decay": 5e-4,
    "b": 256,
    "epochs": 300,
    "lr": 0.1,
}
DVS = {"dataset": "cifar10dvs", "weight_decay": 5e-4, "b": 128, "epochs": 300, "lr": 0.05, "T": 10, "mse_n_reg": True}
GESTURE = {"dataset": "dvs_gesture", "model": "spiking_vgg11_bn", "weight_decay": 5e-4, "b": 16, "epochs": 300}
COMMON = {"opt": "SGD", "momentum": 0.9, "lr_scheduler": "CosALR", "tau": 2.0, "surrogate": "rectangle", "seed": 2022}
COMMON |= {"loss_lambda": 0.05, "amp": True, "neuron": "CLIF", "label_smoothing": 0.0, "val_split": 0.0}

ROWS = {
    "cifar10_resnet18_T4": ({**CIFAR10, "T": 4}, {"CLIF": 94.89, "ReLU": 95.62}),
    "cifar10_resnet18": ({**CIFAR10, "T": 6}, {"CLIF": 95.41, "LIF": 94.51, "ReLU": 95.62}),
    "cifar10_resnet18_T8": ({**CIFAR10, "T": 8}, {"CLIF": 95.68, "ReLU": 95.62}),
    "cifar10_resnet18_T4_aug": ({**CIFAR10, "T": 4, "cutupmix_auto": True}, {"CLIF": 96.01, "ReLU": 96.65}),
    "cifar10_resnet18_aug": ({**CIFAR10, "T": 6, "cutupmix_auto": True}, {"CLIF": 96.45, "ReLU": 96.65}),
    "cifar10_resnet18_T8_aug": ({**CIFAR10, "T": 8, "cutupmix_auto": True}, {"CLIF": 96.69, "ReLU": 96.65}),
    "cifar100_resnet18_T4": ({**CIFAR100, "T": 4}, {"CLIF": 77.00, "ReLU": 78.14}),
    "cifar100_resnet18": ({**CIFAR100, "T": 6}, {"CLIF": 78.36, "LIF": 76.23, "ReLU": 78.14}),
    "cifar100_resnet18_T8": ({**CIFAR100, "T": 8}, {"CLIF": 78.99, "ReLU": 78.14}),
    "cifar100_resnet18_T4_aug": ({**CIFAR100, "T": 4, "cutupmix_auto": True}, {"CLIF": 79.69, "ReLU": 80.89}),
    "cifar100_resnet18_aug": ({**CIFAR100, "T": 6, "cutupmix_auto": True}, {"CLIF": 80.58, "ReLU": 80.89}),
    "cifar100_resnet18_T8_aug": ({**CIFAR100, "T": 8, "cutupmix_auto": True}, {"CLIF": 80.89, "ReLU": 80.89}),
    "tiny_imagenet_vgg13_T4": ({**TINY, "T": 4}, {"CLIF": 63.16, "ReLU": 59.77}),
    "tiny_imagenet_vgg13": ({**TINY, "T": 6}, {"CLIF": 64.13, "ReLU": 59.77}),
    "cifar10dvs_vgg11": ({**DVS, "model": "spiking_vgg11_bn", "drop_rate": 0.3}, {"CLIF": 79.00, "LIF": 78.05}),
    "cifar10dvs_vggsnn_aug": (
        {**DVS, "model": "vggsnn", "drop_rate": 0.0, "cutupmix_auto": True},
        {"CLIF": 86.10, "LIF": 84.90},
    ),
    "dvs_gesture_vgg11": ({**GESTURE, "T": 20, "lr": 0.1, "drop_rate": 0.4}, {"CLIF": 97.92, "LIF": 97.57}),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_paper_resolves_to_the_paper_s_values(name):
    expected, published = ROWS[name]
    values = dataclasses.asdict(resolve(name))
    expected = {"cutupmix_auto": False, **COMMON, **expected, "T_max": expected["epochs"]}
    assert {key: values[key] for key in expected} == expected
    assert read_recipe(name)["published"] == published


def test_every_other_recipe_claims_no_published_figure():
    for name in set(list_recipes()) - ROWS.keys():
        assert "published" not in read_recipe(name)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_runs_with_every_neuron_by_one_override(name):
    for neuron in ("CLIF", "LIF", "PLIF", "ReLU"):
        config = resolve(name, neuron=neuron)
        assert (config.neuron, config.T) == (neuron, 1 if neuron == "ReLU" else resolve(name).T)
        assert config.time_steps(0) == (1 if neuron == "ReLU" else resolve(name).time_steps(0))
    folders = {resolve(name, neuron=neuron).run_folder() for neuron in ("CLIF", "LIF", "PLIF", "ReLU")}
    assert len(folders) == 4


@pytest.mark.parametrize("name", list_recipes())
def test_the_cost_is_that_of_the_network_and_the_data(name):
    config = resolve(name)
    dataset = get_dataset(config.dataset)
    size = {"in_channels": dataset.in_channels, "num_classes": dataset.num_classes, "image_size": dataset.image_size}
    net = create_model(config.model, "ReLU", **size).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, dataset.in_channels, dataset.image_size, dataset.image_size))
    steps = dataset.published[0] * sum(config.time_steps(epoch) for epoch in range(config.epochs))
    assert read_recipe(name)["cost"] == pytest.approx(3 * counter.get_total_flops() * steps / 1e18, rel=0.06)
