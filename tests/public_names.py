"""The public names of the package: those in `__all__` of its packages and, without one, those that a module defines."""

import importlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

import clif

MODULES = (
    "clif",
    *(f"clif.{name}" for name, value in ((one, getattr(clif, one)) for one in clif.__all__) if inspect.ismodule(value)),
    "clif.data.events",
)
"""The modules whose names are public."""

WITHOUT_ALL = {
    "clif.errors": ("InputError", "MissingFileError", "UnknownNameError"),
    "clif.functional": tuple(
        f"{neuron}_{what}" for neuron in ("clif", "lif", "plif") for what in ("step", "multi_step")
    ),
    "clif.memory": ("keep", "lean", "usual"),
    "clif.precision": ("Precision", "choose"),
    "clif.surrogate": ("ATan", "Rectangle", "Sigmoid", "Surrogate", "Triangle", "register_surrogate"),
    "clif.evaluation": ("Scores", "evaluate"),
    "clif.loss": ("CrossEntropy", "Distillation", "RateMSE", "SpikingLoss", "TETLoss"),
    "clif.data.events": (
        *("FrameStream", "integrate", "integrate_duration"),
        *("read_aedat2", "read_aedat3", "read_nmnist"),
    ),
}
"""The public names of modules without `__all__`."""


def public_names() -> Iterator[tuple[str, str, Any]]:
    """Module, name and object of every public class, function and constant; each object once, at its first place."""
    seen: set[int] = set()
    for module in MODULES:
        package = importlib.import_module(module)
        for name in getattr(package, "__all__", None) or WITHOUT_ALL[module]:
            value = getattr(package, name)
            if isinstance(value, types.ModuleType) or name == "__version__" or id(value) in seen:
                continue
            seen.add(id(value))
            yield module, name, value


def described() -> Iterator[tuple[str, Any]]:
    """Full name and object of every public class and function."""
    for module, name, value in public_names():
        if inspect.isclass(value) or inspect.isfunction(value):
            yield f"{module}.{name}", value
