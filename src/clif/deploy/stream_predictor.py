"""A network that follows a stream: one frame or slice of events at a time, with a running prediction."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clif.data.events import integrate
from clif.errors import InputError, MissingFileError, in_words
from clif.models import SpikingNetwork
from clif.models.gate import gate
from clif.neurons.net import evaluating
from clif.train.checkpoint import read_archive, save_checkpoint

Events = dict[str, np.ndarray]


class StreamPredictor:
    """A stream of a network: one step per call, without gradients, in eval mode, with its own state.

    `stream(x)`: [N, C, H, W] -> the running mean of the logits [N, classes]; after T steps it equals the mean over T of
    `net`. `prediction` is its argmax, `logits` are those of the last step, and `steps` is the number of steps. `memory`
    is a time constant in steps for endless streams: the step k steps ago has the weight exp(−k / memory). Memory use
    does not grow with the number of steps.

    `state_dict()` and `load_state_dict()`, or `save()` and `restore()`, save and continue a stream.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2, image_size=16).eval()
    >>> stream = clif.deploy.StreamPredictor(net)
    >>> for _ in range(3):
    ...     scores = stream(torch.rand(1, 3, 16, 16))  # the running mean of the logits
    >>> stream.steps, scores.shape
    (3, torch.Size([1, 10]))
    """

    def __init__(self, net: SpikingNetwork, memory: float | None = None) -> None:
        if memory is not None and not memory > 0:
            raise InputError(f"memory must be a number of steps above 0, or None for the plain mean, got {memory}")
        if not isinstance(net, SpikingNetwork):
            raise InputError(f"a {type(net).__name__} has no streams; clif.wrap(net, T=…) makes a network of it")
        self.net = net
        self.memory = memory
        self._stream = net.stream()
        self.reset()

    def reset(self) -> None:
        """Reset the state and the prediction."""
        self._stream.reset()
        self.steps = 0
        self.logits: Tensor | None = None
        self._sum: Tensor | None = None
        self._weight = 0.0

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        with gate(self.net).alone(), evaluating(self.net):
            self.logits = self._stream(x)
        keep = 1.0 if self.memory is None else math.exp(-1 / self.memory)
        logits = self.logits.double()
        self._sum = logits if self._sum is None else self._sum * keep + logits
        self._weight = self._weight * keep + 1
        self.steps += 1
        return self.scores

    def feed_events(self, events: Events) -> Tensor:
        """One step with a slice of events {"t", "x", "y", "p"}, counted into a frame [1, 2, H, W].

        `clif.data.events.FrameStream` splits a stream of events of any length into frames, for `stream(frame)`.
        """
        sample = self.net.sample_shape
        if len(sample) != 3 or sample[0] != 2:
            raise InputError(f"frames of events are [2, H, W]; this network takes samples {list(sample)}")
        _, height, width = sample
        if len(events["t"]) == 0:
            frame = np.zeros((2, height, width))
        else:
            frame = integrate(events, T=1, height=height, width=width, split_by="number")[0]
        parameter = next(self.net.parameters())
        return self(torch.as_tensor(frame, dtype=parameter.dtype, device=parameter.device)[None])

    @property
    def scores(self) -> Tensor:
        """The running mean of the logits [N, classes]; raises `InputError` before the first step."""
        if self._sum is None or self.logits is None:
            raise InputError("the stream has no input yet; call stream(x) first")
        return (self._sum / self._weight).to(self.logits.dtype)

    @property
    def prediction(self) -> Tensor:
        """The class predicted so far [N]."""
        return self.scores.argmax(-1)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values from which `load_state_dict` continues."""
        layers = {
            name: None if state is None else [value.clone() for value in state]
            for name, state in self._stream.state.items()
        }
        return {
            "layers": layers,
            "sum": None if self._sum is None else self._sum.clone(),
            "logits": None if self.logits is None else self.logits.clone(),
            "weight": self._weight,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` of a stream of the same network; raises `InputError` for another network."""
        try:
            layers = {name: None if values is None else tuple(values) for name, values in state["layers"].items()}
            for name, values in layers.items():
                if values is not None and not all(isinstance(value, Tensor) for value in values):
                    raise InputError(f"the state of {name} must consist of tensors")
            total, logits = state["sum"], state["logits"]
            if not all(value is None or isinstance(value, Tensor) for value in (total, logits)):
                raise InputError("the logits of a stream must be tensors")
            weight, steps = float(state["weight"]), int(state["steps"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"this is not the state of a stream: {error!r}") from error
        self._stream.state = layers
        self._sum, self.logits, self._weight, self.steps = total, logits, weight, steps

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, completely or not at all."""
        save_checkpoint(Path(path), self.state_dict())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from a file of `save`; executes no code from it. Raises `InputError` if it cannot be read."""
        if not Path(path).is_file():
            raise MissingFileError(f"no stream state at {path}")
        try:
            device = next(self.net.parameters()).device
            state = read_archive(Path(path), device)
            self.load_state_dict(state)
        except Exception as error:  # a damaged file can raise anything
            raise InputError(f"{path}: not the state of a stream of this network: {in_words(error)}") from error
