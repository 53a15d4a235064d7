"""The conversion methods by name: `clif_to_lif` returns the network, `convert` also the fit and its cost."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from clif.deploy.calibrate import Fitted, calibrate, subtract
from clif.deploy.finetune import check_training, finetune
from clif.deploy.fit import count_images, take_images
from clif.deploy.fold import Network
from clif.deploy.plain_lif import plain_lif
from clif.deploy.sweep import PAPER_RESETS, best_row, sweep
from clif.errors import InputError, unknown_name
from clif.models.network import SpikingNetwork
from clif.models.wrapped import Wrapped, as_network, layer_name
from clif.names import CONVERSIONS
from clif.neurons.net import like_weights

Batches = Iterable[Any]

IMAGES = 512
METHODS = CONVERSIONS

OPTIONS = {
    "sweep": ("v_resets",),
    "calibrate": ("per", "images", "resets", "joint_epochs"),
    "subtract": ("per", "images", "extras"),
    "finetune": ("start", "images", "labels", "lr", "epochs", "quiet"),
}

# The starts of fine-tuning, and its learning rate without labels. The result of `subtract` differs from the CLIF
# network about as much as rounded weights do; a larger rate would increase the difference.
LABELLED_LR = 3e-4
STARTS: dict[str, tuple[Callable[..., Fitted], float]] = {"subtract": (subtract, 3e-5), "calibrate": (calibrate, 3e-4)}


@dataclass(frozen=True)
class Conversion:
    """A LIF network, the method, the fitted values (layer name -> values in units of v_threshold), and the cost.

    `images` is the number of training images seen, counted at every use; `seconds` is the wall-clock time.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> conversion = clif.deploy.convert(net, "subtract", batches)
    >>> conversion.method, conversion.images
    ('subtract', 8)
    """

    net: Any
    method: str
    images: int
    seconds: float
    values: dict[str, list[float]] = field(default_factory=dict)


def clif_to_lif(
    net: Network,
    v_reset: float | None = None,
    method: str | None = None,
    loader: Batches | None = None,
    **options: Any,
) -> Network:
    """A copy of `net` at rest whose neurons are LIF; it keeps weights, τ, dtype, device, training and step mode.

    Your own module is fitted on sequences [T, N, *]; `clif.wrap(net, T=…)` also takes single samples. A fitted copy has
    layers of clif instead of PyTorch's, with the same state-dict names.

    Without `method` all neurons get the same reset: soft (`v_reset` None) or hard to `v_reset`. With a `method` of
    `METHODS` the conversion is fitted on training images from `loader`; see `convert` for those and their `options`.
    Raises `InputError` for networks without CLIF or LIF neurons (PLIF networks are LIF networks already).

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> lif = clif.deploy.clif_to_lif(net, v_reset=-0.06)
    >>> lif.config["neuron"], lif.config["v_reset"]
    ('LIF', -0.06)
    """
    if method is None:
        if loader is not None or options:
            given = sorted(options) if loader is None else ["loader", *sorted(options)]
            raise InputError(f"{', '.join(given)}: needs a fitted conversion; give its method: {METHODS}")
        return plain_lif(net, v_reset)
    if v_reset is not None:
        raise InputError(f"method={method!r} fits the reset itself; give either v_reset or method")
    converted: Network = convert(net, method, loader, **options).net
    return converted


def convert(net: nn.Module, method: str, loader: Batches | None, **options: Any) -> Conversion:
    """Convert a CLIF network by a fitted method, on training images of `loader`.

    Its batches are pairs (images, labels), or images alone for "calibrate", "subtract" and "finetune" with labels=0.

    - "sweep": the hard reset value, or the soft reset, with the best accuracy on `loader`; options: `v_resets`.
    - "calibrate": hard reset to 0 and a gain in the batch norm before each neuron; options: `per` "channel" or "layer",
      `images`, `resets`, `joint_epochs`.
    - "subtract": soft reset by v_threshold·(1 + c); options: `per` "layer" or "network", `images`, `extras`.
    - "finetune": a short training with `net` as the teacher, from the conversion named by `start` ("subtract", or
      "calibrate" for targets whose LIF has only a hard reset), whose `images` also choose the weights; options:
      `epochs`, `labels` (the weight of their cross-entropy, 1; 0 uses no labels), `lr` (3e-4; 3e-5 from "subtract"
      without labels), `quiet`.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> conversion = clif.deploy.convert(net, "subtract", batches)
    >>> conversion.net.config["neuron"]
    'LIF'
    """
    if method not in METHODS:
        raise unknown_name("conversion method", method, METHODS)
    if loader is None:
        raise InputError(f"method={method!r} is fitted on training images; give loader=clif.data.create_loader(...)")
    for option in options:
        if option not in OPTIONS[method]:
            raise unknown_name(f"option of the conversion {method}", option, OPTIONS[method])
    begun = time.perf_counter()
    network = as_network(net)
    with torch.inference_mode(False):
        lif, images, values = _RUN[method](network, loader, **options)
    result: nn.Module = lif
    if network is not net:
        assert isinstance(lif, Wrapped)
        values = {layer_name(lif, layer): fitted for layer, fitted in values.items()}
        result = lif.unwrapped(net)
    return Conversion(result, method, images, time.perf_counter() - begun, values)


Result = tuple[SpikingNetwork, int, dict[str, list[float]]]


def _sweep(net: SpikingNetwork, loader: Batches, v_resets: Sequence[float | None] = PAPER_RESETS) -> Result:
    rows = sweep(net, loader, v_resets)
    if not rows:
        raise InputError("v_resets is empty; example: (None, 0.0, -0.06)")
    best = best_row(rows).v_reset
    return plain_lif(net, best), sum(row.samples for row in rows), {}


def _images(net: SpikingNetwork, loader: Batches, count: int) -> list[Tensor]:
    return [like_weights(net, x) for x in take_images(loader, count, net.dims)]


def _calibrate(net: SpikingNetwork, loader: Batches, images: int = IMAGES, **options: Any) -> Result:
    batches = _images(net, loader, images)
    fitted = calibrate(net, batches, **options)
    return fitted.net, count_images(batches, net.dims), fitted.values


def _subtract(net: SpikingNetwork, loader: Batches, images: int = IMAGES, **options: Any) -> Result:
    batches = _images(net, loader, images)
    fitted = subtract(net, batches, **options)
    return fitted.net, count_images(batches, net.dims), fitted.values


def _finetune(
    net: SpikingNetwork,
    loader: Batches,
    start: str = "subtract",
    images: int = IMAGES,
    labels: float = 1.0,
    lr: float | None = None,
    **options: Any,
) -> Result:
    if start not in STARTS:
        raise unknown_name("start of the fine-tuning", start, tuple(STARTS))
    fit, usual_lr = STARTS[start]
    lr = (LABELLED_LR if labels else usual_lr) if lr is None else lr
    check_training(lr, options.get("epochs", 1), labels)
    choice = _images(net, loader, images)
    fitted = fit(net, choice)
    lif, seen = finetune(net, fitted.net, loader, choice, lr=lr, labels=labels, **options)
    return lif, count_images(choice, net.dims) + seen, fitted.values


_RUN: dict[str, Callable[..., Result]] = dict(zip(METHODS, (_sweep, _calibrate, _subtract, _finetune), strict=True))
