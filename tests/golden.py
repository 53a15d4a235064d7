"""The golden numbers of the original implementation, and the rule for its weights and inputs.

Neurons: `CASES` and `node`. Networks: `MODELS`, `RUNS`, `network` and `images`. The files are in tests/data/golden.
"""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import clif
from clif import models, surrogate

DIR = Path(__file__).parent / "data" / "golden"


def read(name: str) -> Any:
    return json.loads((DIR / name).read_text())


CASES = read("neurons.json")
MODELS = read("models.json")
RUNS = read("model_runs.json")


def case_id(case: dict[str, Any]) -> str:
    changed = [f"{key}={case[key]}" for key in ("tau", "v_threshold", "v_reset")]
    flags = [key for key in ("decay_input", "detach_reset") if case[key]]
    return "-".join([case["neuron"], case["surrogate"], *changed, *flags])


def run_id(run: dict[str, Any]) -> str:
    return f"{run['index']}-{run['model']}-{run['neuron']}"


def node(case: dict[str, Any], **options: Any) -> clif.neurons.SpikingNeuron:
    """The neuron of a case; options replace its arguments."""
    arguments = {key: case[key] for key in ("decay_input", "v_threshold", "v_reset", "detach_reset")}
    arguments["surrogate_function"] = surrogate.get(case["surrogate"])
    return getattr(clif, f"{case['neuron']}Node")(case["tau"], **{**arguments, **options})


def _empty_network(run: dict[str, Any], neuron: str, **options: Any) -> models.SpikingNetwork:
    with torch.device("meta"):
        return models.create_model(
            run["model"],
            neuron,
            num_classes=run["num_classes"],
            in_channels=run["in_channels"],
            T=run["T"],
            image_size=run["input_shape"][-1],
            **options,
        )


@lru_cache(maxsize=1)
def _weights(index: int) -> dict[str, Tensor]:
    run = RUNS[index]
    shapes = {key: tuple(t.shape) for key, t in _empty_network(run, run["neuron"]).state_dict().items()}
    rng = np.random.default_rng(run["weights_seed"])
    return {key: torch.as_tensor(_draw(rng, key, shapes[key])) for key in sorted(shapes)}


def _draw(rng: np.random.Generator, key: str, shape: tuple[int, ...]) -> Any:
    if key.endswith("num_batches_tracked"):
        return 0
    if key.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    if key.endswith("running_mean"):
        return rng.normal(0, 0.1, shape)
    if len(shape) >= 2:
        return rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
    if key.endswith("weight"):
        return rng.uniform(0.8, 1.6, shape)
    if key.endswith(".w"):
        return np.zeros(shape)
    return rng.normal(0, 0.1, shape)


def network(run: dict[str, Any], neuron: str | None = None, **options: Any) -> models.SpikingNetwork:
    """The network of a run in float64 with the golden weights; `neuron` and its options replace the run's neuron."""
    net = _empty_network(run, neuron or run["neuron"], **options)
    net.load_state_dict({key: tensor.clone() for key, tensor in _weights(run["index"]).items()}, assign=True)
    return net


def images(run: dict[str, Any]) -> Tensor:
    """The input of a run in float64: [N, C, H, W], or [T, N, C, H, W] for a sequence."""
    rng = np.random.default_rng(run["input_seed"])
    shape = tuple(run["input_shape"])
    x = rng.poisson(0.6, (run["T"], *shape)) if run["sequence_input"] else rng.normal(0, 1, shape)
    return torch.as_tensor(x, dtype=torch.float64)
