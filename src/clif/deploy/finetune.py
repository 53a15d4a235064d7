"""Conversion by a short training: the LIF network learns the predictions of the CLIF network."""

import copy
import itertools
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from clif.analysis.activity import samples_of, spiking_modules
from clif.deploy.calibrate import in_mode_of
from clif.deploy.fit import count_images, distance, divergence, respond
from clif.errors import InputError
from clif.evaluation import loss_of, pair_of
from clif.models import SpikingNetwork
from clif.neurons import set_step_mode
from clif.neurons.net import like_weights
from clif.progress import progress_bar
from clif.sequence_layers import detached_copy
from clif.sizes import is_count

QUARTERS = 4


def finetune(
    net: SpikingNetwork,
    lif: SpikingNetwork,
    loader: Iterable[Any],
    choice: Sequence[Tensor],
    lr: float,
    epochs: int = 1,
    labels: float = 1.0,
    quiet: bool = True,
) -> tuple[SpikingNetwork, int]:
    """Train a copy of `lif` with `net` as its teacher; returns it, and the number of images that it saw.

    The loss is the `distance` of the two networks in predictions and spikes, plus `labels` times the cross-entropy of
    the mean logits; with 0 the loader may give images without labels. Batch norms keep their statistics, so the copy
    computes the same in training as when deployed, and frozen parameters stay frozen. The optimiser is AdamW without
    weight decay; the learning rate falls from `lr` to 0 as a cosine over all epochs. Without labels it compares the
    weights at the start and after each quarter of the training, and keeps those whose predictions on the `choice`
    images diverge least from the teacher's. With labels it keeps the last weights. The networks must be on the loader's
    device. Raises `InputError` for an empty loader, one without a length, labels that do not fit, and a network whose
    parameters are all frozen.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> batches = [(torch.rand(8, 3, 16, 16), torch.arange(8))]
    >>> lif = clif.deploy.clif_to_lif(net, v_reset=0.0)
    >>> tuned, images = clif.deploy.finetune(net, lif, batches, choice=[batches[0][0]], lr=1e-5)
    >>> images
    8
    """
    check_training(lr, epochs, labels)
    teacher, student = detached_copy(net).eval(), detached_copy(lif).eval()
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    if not trained:
        raise InputError(
            "every parameter of the network is frozen (requires_grad=False), so fine-tuning trains nothing; set "
            "requires_grad_(True) on what it is to train"
        )
    for network in (teacher, student):
        set_step_mode(network, "m")
    layers = list(spiking_modules(student))
    steps = epochs * _batches(loader)
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    quarters = set() if labels else {steps * quarter // QUARTERS for quarter in range(1, QUARTERS + 1)}
    seen = 0
    if not labels:
        with torch.no_grad():
            answers = [teacher(x) for x in choice]
        best, kept = divergence(student, choice, answers), copy.deepcopy(student.state_dict())
        seen = 2 * count_images(choice, net.dims)
    with torch.enable_grad(), progress_bar(epochs * getattr(loader, "num_samples", 0), "finetune", quiet) as bar:
        for step, batch in enumerate(itertools.chain.from_iterable(itertools.repeat(loader, epochs)), start=1):
            images = like_weights(net, samples_of(batch))
            with torch.no_grad():
                wanted = respond(teacher, layers, images)
            optimizer.zero_grad(set_to_none=True)
            response = respond(student, layers, images)
            loss = distance(response, wanted)
            if labels:
                loss = loss + labels * loss_of(_cross_entropy, response.logits, pair_of(batch)[1])
            loss.backward()
            optimizer.step()
            schedule.step()
            seen += count_images([images], net.dims)
            bar.update(count_images([images], net.dims))
            if step in quarters:
                seen += count_images(choice, net.dims)
                if (found := divergence(student, choice, answers)) < best:
                    best, kept = found, copy.deepcopy(student.state_dict())
    if not labels:
        student.load_state_dict(kept)
    return in_mode_of(lif, student), seen


def check_training(lr: Any, epochs: Any = 1, labels: Any = 1.0) -> None:
    """Raise `InputError` for options of `finetune` outside their range."""
    fits = is_count(epochs) and isinstance(lr, Real) and isinstance(labels, Real)
    if not fits or not 0 < lr < math.inf or not 0 <= labels < math.inf:
        given = f"epochs={epochs!r}, lr={lr!r} and labels={labels!r}"
        raise InputError(f"fine-tuning needs a whole number of epochs ≥ 1, lr > 0 and labels ≥ 0, got {given}")


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.mean(0), labels)


def _batches(loader: Iterable[Any]) -> int:
    try:
        count = len(loader)  # type: ignore[arg-type]
    except TypeError:
        raise InputError("fine-tuning needs a loader with a length, such as clif.data.create_loader gives") from None
    if count == 0:
        raise InputError("the loader is empty; fine-tuning needs training images")
    return count
