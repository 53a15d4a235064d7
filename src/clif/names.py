"""Names that are known without loading torch, so that configurations and command lines can be read at once."""

import ast
import inspect
import sys
from functools import cache
from pathlib import Path

DATASET_NAMES = ("digits", "cifar10", "cifar100", "tiny_imagenet", "cifar10dvs", "dvs_gesture", "nmnist")

DATASETS_WITHOUT_FILES = ("digits",)

DATASET_ALIASES = {"dvscifar10": "cifar10dvs", "dvscifar10-pt": "cifar10dvs", "dvsgesture": "dvs_gesture"}
"""The original's spellings of data sets, in lower case."""

NEURON_NAMES = ("CLIF", "LIF", "PLIF", "ReLU")

AMP_DTYPES = ("auto", "bfloat16", "float16")
"""The choices of `amp_dtype`; `clif.precision` says what they mean."""

SURROGATE_NAMES = ("rectangle", "sigmoid", "triangle", "atan")

CONVERSIONS = ("sweep", "calibrate", "subtract", "finetune")
"""The methods of `clif.deploy.convert`."""


def dataset_name(name: str) -> str:
    """The one spelling of a data set's name or alias given in any case; an unknown name stays, in lower case."""
    return DATASET_ALIASES.get(name.lower(), name.lower())


@cache
def model_descriptions() -> dict[str, str]:
    """The docstrings of the networks that clif ships by their names, sorted.

    They are read from the source, for importing it would load torch.
    """
    found = {}
    for path in (Path(__file__).parent / "models").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(mark, ast.Name) and mark.id == "register_model" for mark in node.decorator_list
            ):
                found[node.name] = inspect.cleandoc(ast.get_docstring(node) or "")
    return dict(sorted(found.items()))


REGISTRIES = {
    "dataset": ("clif.data.loader", "DATASETS"),
    "model": ("clif.models.registry", "_MODELS"),
    "neuron": ("clif.models.network", "NEURONS"),
    "surrogate": ("clif.surrogate", "SURROGATES"),
}
"""The module and the name of the dictionary that holds everything of a kind, the user's own included."""


def known_names(kind: str) -> list[str]:
    """The names of a kind, one of `REGISTRIES`: those that clif ships and, once its module is loaded, all others."""
    shipped = {
        "dataset": DATASET_NAMES,
        "model": tuple(model_descriptions()) if kind == "model" else (),
        "neuron": NEURON_NAMES,
        "surrogate": SURROGATE_NAMES,
    }[kind]
    module, registry = REGISTRIES[kind]
    return list(dict.fromkeys([*shipped, *getattr(sys.modules.get(module), registry, ())]))
