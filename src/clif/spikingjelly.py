"""Modules of clif as SpikingJelly's stateful modules if that library is loaded; clif never loads it.

SpikingJelly 2.0 finds the states of a network by `isinstance(module, base.MemoryModule)`.
"""

import inspect
import sys
from typing import Any

from torch import nn

from clif.errors import InputError


def join(kind: type[nn.Module]) -> None:
    """Derive `kind`, and so every class and object of it, from SpikingJelly's `MemoryModule`, if that is loaded.

    `kind` must derive from `torch.nn.Module` alone, and have `named_memories` and `_memories`. Its behaviour stays the
    same: methods that `MemoryModule` overrides are those of `torch.nn.Module` again. Versions before 2.0 need no
    change.
    """
    memory_module = getattr(sys.modules.get("spikingjelly.activation_based.base"), "MemoryModule", None)
    if memory_module is None or issubclass(kind, memory_module):
        return
    if hasattr(memory_module, "functional_forward") and not hasattr(memory_module, "backend"):
        kind.__bases__ = (_derive(memory_module),)


def _derive(memory_module: type) -> type:
    names = [name for name in vars(memory_module) if hasattr(nn.Module, name)]
    of_torch = {name: inspect.getattr_static(nn.Module, name) for name in names}
    return type("MemoryModule", (_Declared, memory_module), {**of_torch, "__doc__": None, "__module__": __name__})


class _Declared:
    """The methods of `MemoryModule` for registered states, for modules that declare their states."""

    def reset(self) -> None:
        """Nothing: the module keeps no state."""

    def detach(self) -> None:
        """Nothing: the module keeps no graph."""

    def register_memory(self, name: str, value: Any) -> None:
        del value
        raise InputError(
            f"{type(self).__name__} declares its states by name in `states`; {name!r} cannot be registered"
        )

    def set_reset_value(self, name: str, value: Any) -> None:
        del value
        raise InputError(
            f"{type(self).__name__} declares its states at rest in `states`, v by v_reset; {name!r} cannot be set here"
        )

    def get_reset_value(self, name: str) -> Any:
        rest: dict[str, Any] = self.rest_values() if hasattr(self, "rest_values") else dict.fromkeys(self._memories)  # type: ignore[attr-defined]
        if name not in rest:
            raise KeyError(f"{name} is not a state of {type(self).__name__}")
        return rest[name]
