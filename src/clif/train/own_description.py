"""Descriptions of the user's objects: plain text, the same for objects that are created in the same way."""

import enum
import functools
import hashlib
import inspect
import json
import numbers
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from clif.layers import BatchNorm2d
from clif.neurons import SpikingNeuron
from clif.train.schedules import POSITIONS
from clif.train.sync_batch_norm import SyncBatchNorm2d

WITHOUT_EFFECT = {
    *("self", "args", "kwargs", "params", "lr", "device", "dtype", "inplace", "backend", "step_mode", "store_v_seq"),
    *("fused", "foreach", "capturable", "differentiable"),
}
"""Arguments that change no results, or that have another place in a description."""

FEW = 16
"""The number of values of a constant tensor in a description."""

DEEPEST = 6
"""The depth of lists and mappings in a description, which may contain themselves."""

PLAIN = (bytes, complex, range, torch.device, torch.dtype, torch.layout, torch.memory_format)


def describe_net(net: nn.Module) -> dict[str, str]:
    """Each module of a network by its name: its class, constants and the shapes of its parameters."""
    return {name: _module(module) for name, module in net.named_modules()}


def describe_optimizer(optimizer: Optimizer, scheduler: LRScheduler | None) -> str:
    """The class of an optimiser and the options of its groups, with the rates at the start of its schedule.

    A `ReduceLROnPlateau` changes the rates without a note of those at the start, which are then the default.
    """
    names, groups = _arguments(type(optimizer)), []
    for group in optimizer.param_groups:
        rate = group.get("max_lr", group.get("initial_lr", group.get("lr")))
        if isinstance(scheduler, ReduceLROnPlateau):
            rate = optimizer.defaults.get("lr")
        cycled = {"momentum", "betas"} if "max_momentum" in group else set()
        options = {name: group[name] for name in sorted(names - cycled) if name in group}
        groups.append(_pairs({"lr": rate, **options, "parameters": len(group["params"])}))
    return f"{type(optimizer).__qualname__}({'; '.join(groups)})"


def describe_schedule(scheduler: LRScheduler) -> str:
    """The class of a schedule and its options, without its position."""
    return f"{type(scheduler).__qualname__}({_options(scheduler.state_dict())})"


def describe_loss(loss: Any) -> str:
    """The name of a function, or the class and the constants of an object."""
    if isinstance(loss, nn.Module):
        return "; ".join(describe_net(loss).values())
    return _text(loss)


def describe_loader(loader: Any) -> str:
    """The class of a loader, its batch size, and the numbers of its samples and batches."""
    sizes = {"batch_size": getattr(loader, "batch_size", None)}
    for name, thing in (("samples", getattr(loader, "dataset", None)), ("batches", loader)):
        with suppress(Exception):
            sizes[name] = len(thing)  # type: ignore[arg-type]
    return f"{type(loader).__qualname__}({_pairs(sizes)})"


def digest(description: Any) -> str:
    """A short name for a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:8]


def _module(module: nn.Module) -> str:
    constants = _constants(module)
    if isinstance(module, SpikingNeuron):
        found = {name: value for name, value in module.constants().items() if not isinstance(value, nn.Parameter)}
        constants = {**constants, **found, "gradient_window": module.gradient_window}
    shapes = {name: list(p.shape) for name, p in module.named_parameters(recurse=False)}
    kind = BatchNorm2d if type(module) is SyncBatchNorm2d else type(module)  # as before `sync_bn` in an earlier run
    return f"{kind.__qualname__}({_pairs({**dict(sorted(constants.items())), **shapes})})"


def _constants(thing: Any) -> dict[str, Any]:
    """The attributes of an object that have the name of an argument of its class."""
    held = dict(vars(thing)) if hasattr(thing, "__dict__") else {}
    if isinstance(thing, nn.Module):
        held |= dict(thing.named_buffers(recurse=False))
    found = {}
    for name in sorted(_arguments(type(thing))):
        for key in (name, f"_{name}"):
            if key in held and not isinstance(held[key], nn.Parameter):
                found[name] = held[key]
    return found


def _arguments(kind: type) -> frozenset[str]:
    """The names of the arguments of a class and its bases."""
    names: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one) and one not in (object, nn.Module, Optimizer):
            with suppress(ValueError, TypeError):
                names |= inspect.signature(vars(one)["__init__"]).parameters.keys()
    return frozenset(names - WITHOUT_EFFECT)


def _options(state: Mapping[str, Any]) -> str:
    inner = [f"({_options(one)})" for one in state.get("_schedulers", [])]
    options = {key: state[key] for key in sorted(state) if key not in POSITIONS and key[0] != "_"}
    return ", ".join([_pairs(options), *inner])


def _pairs(values: Mapping[str, Any], depth: int = 0) -> str:
    return ", ".join(f"{name} {_text(value, depth)}" for name, value in values.items())


def _text(value: Any, depth: int = 0) -> str:
    """A value as text without an address in memory; an object by its class and its constants.

    A value that cannot be read, such as that of a sparse tensor, is its class and its shape.
    """
    try:
        return _content(value, depth)
    except Exception:
        shape = "?"
        with suppress(Exception):
            shape = str(list(value.shape))
        return f"{type(value).__qualname__}({shape})"


def _content(value: Any, depth: int) -> str:
    if isinstance(value, enum.Enum | np.generic):
        return str(value)
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"{list(value.shape)} of {', '.join(_text(one) for one in value.ravel()[:FEW].tolist())}"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_text(one, depth + 1) for one in value))}}}"
    if isinstance(value, Tensor):
        few = [_text(one) for one in value.detach().flatten()[:FEW].tolist()]
        return few[0] if value.numel() == 1 else f"{list(value.shape)} of {', '.join(few)}"
    if isinstance(value, bool | str | None):
        return str(value)
    if isinstance(value, numbers.Real):
        try:
            return f"{float(value):g}"
        except OverflowError:
            return str(value)
    if isinstance(value, list | tuple | Mapping) and depth > DEEPEST:
        return "..."
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(one, depth + 1) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{{_pairs({str(key): one for key, one in value.items()}, depth + 1)}}}"
    if isinstance(value, functools.partial):
        return f"{_text(value.func, depth + 1)}({_text(value.args, depth + 1)}, {_text(value.keywords, depth + 1)})"
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    shown = _pairs(_constants(value), depth + 1) if depth < 3 else ""
    return f"{type(value).__qualname__}({shown})"
