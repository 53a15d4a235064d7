"""Pretrained weights of the package: their description, accuracy and location."""

import dataclasses
import fnmatch
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clif.errors import InputError, unknown_name
from clif.names import pretrained_index
from clif.safetensors import read_safetensors

WEIGHTS = Path(__file__).parent / "weights"
PREFIX = "pretrained:"
"""The prefix of pretrained:NAME, which `clif.load` and the commands take as a checkpoint."""


@dataclass(frozen=True)
class Pretrained:
    """Weights that come with the package.

    `test_top1` is the accuracy in 0–1 on the data set's test set, in float32, of the network trained by `recipe` from
    `seed` with the code of `commit`. `file` has the weights, `sha256` is its hash. `layer_options` are the constants
    that a conversion to LIF fitted; its weights are those of the original network.

    >>> all(isinstance(one, clif.models.Pretrained) for one in clif.models.list_pretrained())
    True
    """

    name: str
    description: str
    model: str
    neuron: str
    dataset: str
    T: int
    test_top1: float
    recipe: str
    seed: int
    commit: str
    licence: str
    file: str
    sha256: str
    layer_options: dict[str, dict[str, float | None]] | None = None

    @property
    def path(self) -> Path:
        """The file with the weights."""
        return WEIGHTS / self.file

    @property
    def card(self) -> Path:
        """The model card, in Markdown."""
        return self.path.with_suffix(".md")

    def content(self) -> dict[str, Any]:
        """The weights under "net", the network under "model" and the options it was trained with under "config".

        Raises `InputError` if the file is missing or its hash differs from the published one.
        """
        try:
            found = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"{self.path}: the weights of {self.name} cannot be read: {error.strerror}") from error
        if found != self.sha256:
            raise InputError(f"{self.path}: damaged: its SHA-256 is {found}, not {self.sha256}; install clif-snn again")
        net, description = read_safetensors(self.path)
        changes = {"neuron": self.neuron, "layer_options": self.layer_options}
        model = {**description["model"], **{key: value for key, value in changes.items() if value}}
        return {"net": net, "model": model, "config": {**description["config"], "neuron": self.neuron}}


def list_pretrained(pattern: str = "*") -> list[Pretrained]:
    """The package's pretrained weights whose names match a shell pattern, sorted by name.

    >>> for one in clif.models.list_pretrained("digits*"):
    ...     print(one.name, one.neuron, f"{one.test_top1:.1%}")
    digits CLIF 98.3%
    digits_lif LIF 97.8%
    """
    return [one for name, one in _index().items() if fnmatch.fnmatch(name, pattern)]


def find_pretrained(name: str) -> Pretrained:
    """The weights of that name, with or without "pretrained:". Raises `InputError` for an unknown one."""
    name = name.removeprefix(PREFIX)
    if name not in _index():
        raise unknown_name("pretrained weights", name, _index())
    return _index()[name]


def pretrained_for(model: str, dataset: str, neuron: str) -> Pretrained:
    """The weights of a model for a data set with a neuron. Raises `InputError` that lists those of the model."""
    of_model = [one for one in list_pretrained() if one.model == model]
    for one in of_model:
        if (one.dataset, one.neuron) == (dataset, neuron):
            return one
    has = ", ".join(f"{one.dataset} with {one.neuron}" for one in of_model) or "none"
    raise InputError(f"no weights of {model} for {dataset} with {neuron} neurons are included; included are: {has}")


@cache
def _index() -> dict[str, Pretrained]:
    return {name: Pretrained(name=name, **values) for name, values in pretrained_index(WEIGHTS).items()}


def index_entry(one: Pretrained) -> dict[str, Any]:
    """An entry as in `weights/index.json`."""
    values = dataclasses.asdict(one)
    del values["name"]
    return {key: value for key, value in values.items() if value is not None}
