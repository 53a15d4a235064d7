"""Checkpoints: written completely or not at all, read without executing anything they contain.

A checkpoint is a superset of the original's {'net', 'optimizer', 'lr_scheduler', 'epoch', 'max_test_acc'}; clif adds
'model' (the arguments of `create_model`), 'config', 'history' and the state for resuming. 'net' holds the evaluated
weights; if these are a moving average, 'net_raw' holds the trained weights.
"""

import argparse
import io
import logging
import os
import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clif.data.pickles import NUMPY
from clif.devices import find_device
from clif.errors import InputError, MissingFileError, cut, in_words
from clif.files import write_atomically
from clif.models import SpikingNetwork, create_model
from clif.models.head import keep_head
from clif.models.layer_options import set_layer_options, take_options
from clif.models.pretrained import PREFIX, find_pretrained, list_pretrained
from clif.models.wrapped import WRAPPED, Wrapped
from clif.names import model_descriptions
from clif.neurons.exchange import add_layer_options, description_of
from clif.neurons.registry import neuron_name
from clif.paths import expand_home
from clif.safetensors import is_safetensors, read_safetensors
from clif.train.remote import fetch, is_remote
from clif.train.resume import BEST, LAST
from clif.train.weights import AVERAGES, find_weights, fit_names
from clif.user_code import changed, needed_by

logger = logging.getLogger("clif.train")

CONTENT_TYPES: dict[str, type] = {
    "model": dict,
    "optimizer": dict,
    "lr_scheduler": dict,
    "scaler": dict,
    "precision": str,
    "config": dict,
    "imports": list,
    "data": dict,
    "own": list,
    "objects": dict,
    "history": list,
    "progress": dict,
    "rng": dict,
    "epoch": int,
    "net_raw": dict,
    "loss_state": dict,
}

SMALL = 1 << 26
"""The values of a network that is created without reading the content of its file."""

BEGINNINGS = (b"PK\x03\x04", b"\x80")
"""The first bytes of the files of `torch.save`: a zip archive or, from old versions, a pickle."""

PLAIN: list[Any] = [argparse.Namespace, *((known, name) for name, known in NUMPY.items())]
"""The types in a checkpoint besides PyTorch's own; stand-ins make NumPy's values, so that no state can do harm."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically. Raises `InputError` if the folder or the disk does not allow it."""
    try:
        write_atomically(path, lambda file: torch.save(content, file))
    except (OSError, RuntimeError) as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # torch could then not finish its file
            raise error.__context__ from None
        raise InputError(f"{path}: the checkpoint could not be written ({error}); the previous file is kept") from error


def check_storable(state: dict[str, Any], what: str) -> None:
    """Raise `InputError` unless a state can be written to a checkpoint and read from it, which executes nothing."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        with torch.serialization.safe_globals(PLAIN):
            torch.load(file, weights_only=True)
    except Exception as error:  # any class can stand in the state
        raise InputError(
            f"the state of {what} holds more than tensors and plain values, so no run could resume from a checkpoint: "
            f"{cut(_first_line(error))}; leave the rest out in its state_dict()"
        ) from error


def checkpoint_file(path: Path) -> Path:
    """The file of a local path: for a run folder its best checkpoint, or the last one if there is no best."""
    if path.is_dir():
        return path / BEST if (path / BEST).is_file() else path / LAST
    return path


def outputs_folder(path: str | os.PathLike[str]) -> Path:
    """The folder for files made from a checkpoint: that of its run or its file, else the current folder.

    `path` is an argument of `read_checkpoint`.
    """
    name = os.fspath(path)
    if name.startswith(PREFIX) or is_remote(name):
        return Path()
    local = Path(expand_home(name))
    return local if local.is_dir() else local.parent


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a checkpoint of clif or the original, on the CPU. No code in it is executed.

    `path` is a file, a run folder (its best checkpoint), pretrained:NAME for weights in the package, or a URL or hf:…
    as `clif.train.remote.fetch` takes it. For files of other programs, including safetensors, the weights are under
    'net', and other values under the original's keys. Raises `InputError` for a file that is missing, damaged, not a
    checkpoint, or that holds more than tensors and plain values.
    """
    name = os.fspath(path)
    if name.startswith(PREFIX):
        return find_pretrained(name).content()
    path = fetch(name) if is_remote(name) else Path(expand_home(path))
    try:
        path = checkpoint_file(path)
        if not path.is_file():
            raise MissingFileError(f"no checkpoint at {path}{_meant(name)}")
        path.open("rb").close()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: the checkpoint cannot be read: {error.strerror}") from error
    content = _read_safetensors(path) if is_safetensors(path) else read_archive(path)
    if not isinstance(content, dict) or not isinstance(content.get("net"), dict):
        content = _foreign(content, path)
    else:
        _note_average(content, "net", path)
    for key, kind in CONTENT_TYPES.items():
        if key in content and not isinstance(content[key], kind):
            raise InputError(f"{path}: damaged: {key!r} holds a {type(content[key]).__name__}, not a {kind.__name__}")
    for key in ("model", "config", "data"):
        if not all(isinstance(name, str) for name in content.get(key, {})):
            raise InputError(f"{path}: damaged: {key!r} has a name that is not a string")
    return content


def _meant(name: str) -> str:
    """A hint for a folder with other checkpoints, and for a missing file with the name of weights of the package."""
    if Path(expand_home(name)).is_dir():
        found = sorted(file.name for file in Path(expand_home(name)).glob("checkpoint_*.pth"))
        return f"; the folder has {', '.join(found[:8])}, which you can name" if found else ""
    word = name.lower().removeprefix(PREFIX)
    known = word in [one.name for one in list_pretrained()]
    return f"; the weights of the package with this name are {PREFIX}{word}" if known else ""


def _read_safetensors(path: Path) -> Any:
    weights, description = read_safetensors(path)
    return {**description, "net": weights} if description else weights


def read_archive(path: Path, device: str | torch.device = "cpu") -> Any:
    """The content of a file of `torch.save`, on a device; executes nothing. Raises `InputError` for anything else."""
    try:
        with path.open("rb") as file:
            if not file.read(len(BEGINNINGS[0])).startswith(BEGINNINGS):
                raise InputError(f"{path}: not a checkpoint, which is a file of torch.save or a safetensors file")
        _check_archive(path)
        with torch.serialization.safe_globals(PLAIN):
            return torch.load(path, map_location=device, weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: refused, it is damaged or holds more than tensors and plain values: {cut(_first_line(error))}; "
            "if you trust it, save its weights alone where it was made: torch.save(net.state_dict(), path)"
        ) from error
    except Exception as error:  # a damaged archive can raise anything
        raise InputError(f"{path}: not a checkpoint, truncated or foreign: {cut(_first_line(error))}") from error


def _foreign(content: Any, path: Path) -> dict[str, Any]:
    """The content of another program's file in the original's form."""
    found = find_weights(content)
    if found is None:
        first = list(content)[:8] if isinstance(content, dict) else []
        keys = f" but {cut(' '.join(', '.join(map(str, first)).split()))}" if first else ""
        raise InputError(
            f"{path}: not a checkpoint of clif or of the original: it has no state dict under 'net' (or another usual "
            f"key){keys}; save one with torch.save(net.state_dict(), path), which clif.load takes with model= and "
            "neuron=, or load the weights yourself: net.load_state_dict(...)"
        )
    key, weights = found
    if key:
        _note_average(content, key, path)
    others = {name: content[name] for name in ("optimizer", "lr_scheduler", "epoch") if key and name in content}
    kept = {name: value for name, value in others.items() if isinstance(value, CONTENT_TYPES[name])}
    return {**kept, "net": weights}


def _note_average(content: dict[str, Any], key: str, path: Path) -> None:
    averages = [name for name in AVERAGES if name in content]
    if averages and key.split(".")[0] not in AVERAGES:
        logger.warning(
            f"{path}: an average of the weights is stored beside them under {averages[0]!r}; {key!r} is taken"
        )


def _check_archive(path: Path) -> None:
    """Raise `InputError` if a part of the zip archive that torch writes differs from its checksum, or is compressed.

    Compressed parts, and parts that share bytes, could unpack to any size; torch writes neither.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise InputError(f"{path}: refused: its parts unpack to more than its size, which is not valid")
            if (part := archive.testzip()) is not None:
                raise InputError(f"{path}: damaged: its part {part} differs from its checksum")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsafe = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (unsafe or lines or [type(error).__name__])[0]


def load(
    path: str | os.PathLike[str],
    model: str | None = None,
    neuron: str | None = None,
    map_location: str | torch.device = "cpu",
    net: Any = None,
    **options: Any,
) -> Any:
    """The network of a checkpoint or run folder, in eval mode and multi-step mode.

    Checkpoints of clif describe their network. For a checkpoint in the original's format give `model` and `neuron`, and
    T, tau, surrogate and image_size if they differ from `create_model`'s defaults; classes and channels follow from its
    weights. Any argument replaces the value in the checkpoint: `load(path, T=4)`, `load(path, neuron="LIF")`.

    With `net`, your own module or the result of `clif.wrap`, the weights are loaded into it, and the constants of
    single layers that a conversion fitted; it is returned in eval mode. A checkpoint does not contain the class of a
    wrapped network.

    Raises `InputError` for a missing device, a file that cannot be read, and weights that do not fit.

    >>> net = clif.models.create_model("snn5_noAP", "CLIF", T=2)
    >>> clif.export.to_safetensors(net, "net.safetensors")
    >>> clif.load("net.safetensors")(torch.rand(4, 3, 32, 32)).shape  # [T, N, classes]
    torch.Size([2, 4, 10])
    >>> clif.load("net.safetensors", T=4).T
    4
    """
    device = find_device(map_location)
    if net is not None:
        if named := [key for key, value in {"model": model, "neuron": neuron, **options}.items() if value is not None]:
            raise InputError(f"{', '.join(named)}: describes a network to create, but net= already gives one")
        content = read_checkpoint(path)
        load_weights(net, content["net"], str(path))
        _set_layer_options(net, content.get("model", {}), str(path))
        return net.to(device).eval()
    net = build_network(read_checkpoint(path), str(path), model=model, neuron=neuron, **options)
    return net.to(device).eval()


def build_network(
    content: dict[str, Any], where: str, model: str | None = None, neuron: str | None = None, **options: Any
) -> SpikingNetwork:
    """The network of a checkpoint's content, with its weights; `where` names the file in errors."""
    stored = dict(content.get("model") or {})
    if not stored:
        if "net" in content.get("own", []):
            raise InputError(
                f"{where}: holds your own network, which only your code can create; its weights are "
                'clif.train.checkpoint.read_checkpoint(path)["net"]'
            )
        if model is None or neuron is None:
            raise InputError(
                f"{where}: a checkpoint in the original's format does not say which network it holds; "
                'name it, for example model="spiking_resnet18", neuron="CLIF"'
            )
        stored = _sizes(content["net"], where)
    if stored.get("name") == WRAPPED and model is None:
        raise InputError(
            f"{where}: has the weights of a wrapped {stored.get('class')}, whose class is not in the checkpoint; "
            "create the module again and load them into it: clif.load(path, net=clif.wrap(my_net, "
            f"T={stored.get('T')}))"
        )
    given = {"name": model, "neuron": neuron and neuron_name(neuron), **options}
    arguments = {**stored, **{key: value for key, value in given.items() if value is not None}}
    try:
        with needed_by(content.get("imports"), where):
            _check_size(arguments, content["net"], where)
            net = create_model(**arguments)
    except InputError as error:
        if any(value is not None for value in given.values()) or where in str(error):
            raise
        raise type(error)(f"{where}: {error}") from error
    except Exception as error:  # values of any kind can stand in the file
        if isinstance(name := arguments.get("name"), str) and name not in model_descriptions():
            raise InputError(f"{where}: your model {name} raised {type(error).__name__}: {in_words(error)}") from error
        words = f"its description of the network, {cut(str(stored))}, is damaged"
        raise InputError(f"{where}: {words}: {in_words(error)}") from error
    weights = fit_names(content["net"], net.state_dict())
    if any(getattr(weight, "dtype", None) == torch.float64 for weight in weights.values()):
        net.double()
    load_weights(net, weights, where)
    for line in changed(content.get("imports")):
        logger.warning("%s: %s", where, line)
    return net


def _check_size(arguments: dict[str, Any], weights: dict[str, Tensor], where: str) -> None:
    """Raise `InputError` if a network of clif is larger than its weights, before it takes any memory."""
    if arguments.get("name") not in model_descriptions():
        return
    strided = [one for one in weights.values() if isinstance(one, Tensor) and one.layout == torch.strided]
    held = sum(min(weight.numel(), weight.untyped_storage().nbytes()) for weight in strided)
    with torch.device("meta"):
        net = create_model(**arguments)
    size = sum(value.numel() for value in net.state_dict().values())
    if size > SMALL and size > 2 * held:
        raise InputError(f"{where}: contains {held} weights, but its network has {size}; it is damaged")


def load_weights(net: nn.Module, state_dict: dict[str, Tensor], where: str, other_classes: bool = False) -> str | None:
    """Load a state dict that must fit exactly, except for wrappers and counters in its names (`fit_names`).

    The state dict of a wrapped network and that of the module inside fit both. With `other_classes` the last layer may
    have another number of outputs; it then keeps its own weights, and the key of its matrix is returned. Raises
    `InputError` with the first key or shape that does not fit.
    """
    net = net.net if isinstance(net, Wrapped) else net
    own = net.state_dict()
    state_dict = fit_names(state_dict, own)
    config = description_of(net)
    name = f"{config['name']} with {config['neuron']} neurons" if config else f"this {type(net).__name__}"
    if differing := sorted(own.keys() ^ state_dict.keys(), key=str):
        verb = "lacks" if differing[0] in own else "has the unknown key"
        raise InputError(f"{where}: does not fit {name}: it {verb} {differing[0]} ({len(differing)} keys differ)")
    fresh = None
    if other_classes and all(isinstance(value, Tensor) for value in state_dict.values()):
        state_dict, fresh = keep_head(state_dict, own)
    for key, value in own.items():
        if not isinstance(state_dict[key], Tensor) or state_dict[key].shape != value.shape:
            shape = list(getattr(state_dict[key], "shape", []))
            raise InputError(f"{where}: does not fit {name}: {key} is {shape}, the network has {list(value.shape)}")
    try:
        net.load_state_dict(state_dict)
    except RuntimeError as error:  # tensors without values, sparse ones …
        raise InputError(f"{where}: does not fit {name}: {in_words(error)}") from error
    return fresh


def take_constants(net: nn.Module, content: dict[str, Any], where: str, kept: Collection[str] = ()) -> None:
    """Give the neurons of `net` the constants that those of a checkpoint's network have, as far as they have them.

    They keep those named in `kept`. Raises `InputError` for damaged constants.
    """
    try:
        take_options(net, content.get("model", {}), kept)
    except (AttributeError, TypeError, InputError) as error:
        raise InputError(f"{where}: its constants of neurons are damaged: {in_words(error)}") from error


def _set_layer_options(net: nn.Module, model: dict[str, Any], where: str) -> None:
    """Set the constants of single layers in the description of a checkpoint's network, `model`."""
    prefix = "net." if model.get("name") == WRAPPED and not isinstance(net, Wrapped) else ""
    try:
        options = {layer.removeprefix(prefix): values for layer, values in model.get("layer_options", {}).items()}
        set_layer_options(net, options)
        if (description := description_of(net)) is not None:
            add_layer_options(description, options)
    except (AttributeError, InputError) as error:
        raise InputError(
            f"{where}: its constants of single layers do not fit this {type(net).__name__} ({in_words(error)}); they "
            f"are for {model.get('neuron')} neurons"
        ) from error


def _sizes(state_dict: dict[str, Tensor], where: str) -> dict[str, int]:
    """Input channels and classes, read off the first convolution and the last linear layer."""
    convolutions = [value for value in state_dict.values() if isinstance(value, Tensor) and value.dim() == 4]
    linears = [value for value in state_dict.values() if isinstance(value, Tensor) and value.dim() == 2]
    if not convolutions or not linears:
        raise InputError(f"{where}: these are not the weights of a convolutional classifier")
    return {"in_channels": convolutions[0].shape[1], "num_classes": linears[-1].shape[0]}
