"""The ways to infer that `clif bench infer` times: each computes the logits [T, N, classes] of static images."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import clif
from clif.bench.compiled import compiled
from clif.deploy.fold import fold_batch_norm
from clif.deploy.int8 import quantize_weights
from clif.export import to_onnx
from clif.extras import require
from clif.models import SpikingNetwork
from clif.models.network import step_by_step

Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Way:
    """`prepare(net)` makes the function from images [N, C, H, W] to logits; `describe` says it in words."""

    describe: str
    dtype: str
    prepare: Callable[[SpikingNetwork], Predict]


def _plain(net: SpikingNetwork) -> Predict:
    plain = copy.deepcopy(net)
    plain.memory_format = torch.preserve_format
    clif.set_backend(plain, "torch")
    return lambda x: step_by_step(plain, x)


def _ours(net: SpikingNetwork) -> Predict:
    return copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _folded(net: SpikingNetwork) -> Predict:
    return fold_batch_norm(net, rest="keep").to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _bfloat16(net: SpikingNetwork) -> Predict:
    folded = fold_batch_norm(net, rest="keep").bfloat16()
    return lambda x: folded(x.bfloat16()).float()


def _compiled(net: SpikingNetwork) -> Predict:
    return compiled(fold_batch_norm(net, rest="keep"))


def _onnx(net: SpikingNetwork) -> Predict:
    ort = require("onnxruntime")
    with tempfile.TemporaryDirectory() as folder:
        content = to_onnx(fold_batch_norm(net, rest="affine"), Path(folder) / "net.onnx").read_bytes()
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])


def _int8(net: SpikingNetwork) -> Predict:
    return quantize_weights(net)


def _int8_bfloat16(net: SpikingNetwork) -> Predict:
    return quantize_weights(net, torch.bfloat16)


WAYS = {
    "plain": Way("T single-step calls, neurons in PyTorch operations, contiguous", "float32", _plain),
    "ours": Way("the whole sequence at once, fused neurons, channels_last", "float32", _ours),
    "ours-folded": Way("the same with batch norms folded", "float32", _folded),
    "ours-bfloat16": Way("the same with batch norms folded, all in bfloat16", "bfloat16", _bfloat16),
    "ours-compiled": Way("ours-folded under torch.compile", "float32", _compiled),
    "onnxruntime": Way("ours-folded exported to ONNX, T steps in one graph", "float32", _onnx),
    "int8": Way("int8 weights and exact activations, batch norms folded", "int8", _int8),
    "int8-bfloat16": Way("the same, convolutions giving bfloat16", "int8", _int8_bfloat16),
}
DEFAULT_WAYS = tuple(name for name in WAYS if name not in ("ours-compiled", "onnxruntime"))
"""Ways that need minutes to prepare, or another package: they are measured only if they are asked for."""
