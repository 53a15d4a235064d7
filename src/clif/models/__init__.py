"""Spiking networks: `create_model(name, neuron=...)` creates one, `list_models("spiking_*")` lists them."""

from clif.models import plain, resnet, vgg
from clif.models.network import SpikingNetwork, Stream, predict
from clif.models.pretrained import Pretrained, list_pretrained
from clif.models.registry import create_model, list_models, register_model
from clif.models.wrapped import Wrapped, wrap

__all__ = [
    "Pretrained",
    "SpikingNetwork",
    "Stream",
    "Wrapped",
    "create_model",
    "list_models",
    "list_pretrained",
    "plain",
    "predict",
    "register_model",
    "resnet",
    "vgg",
    "wrap",
]
