"""The rule for names that code of the user's own may add: decorators, bare or with a name."""

from collections.abc import Callable
from typing import Any

from clif.errors import InputError


def register(registry: dict[str, Any], decorator: str, name: Any) -> Any:
    """What a decorator returns: the thing itself where it is bare (`name` is then the thing), or a decorator.

    Its name is its own where it is bare. A function or class of the same module and qualified name is replaced, as in a
    notebook. Raises `InputError` for a name that is taken, in any case, and for one that is no identifier.
    """
    if callable(name) and not isinstance(name, str):
        return add(registry, decorator, name.__name__, name)
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(f"{decorator} takes a name of letters, digits and _, got {name!r}")
    return lambda thing: add(registry, decorator, name, thing)


def add(registry: dict[str, Any], decorator: str, name: str, thing: Callable[..., Any]) -> Callable[..., Any]:
    """Put a thing into a registry and return it. Raises `InputError` for a name that is taken."""
    if not callable(thing) or not hasattr(thing, "__qualname__"):
        raise InputError(f"{decorator}({name!r}) takes a function or a class, got {thing!r}")
    for known in [known for known in registry if known.lower() == name.lower()]:
        other = registry[known]
        if (other.__module__, other.__qualname__) != (thing.__module__, thing.__qualname__):
            raise InputError(
                f"the name {name!r} is taken by {other.__module__}.{other.__qualname__}; give {thing.__name__} another"
            )
        del registry[known]
    registry[name] = thing
    return thing
