"""The registration of names: the shared rule of all decorators `register_…`."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from clif.errors import InputError


def decorator(function: str, name: Any, enter: Callable[[str, Any], Any]) -> Any:
    """The return value of the decorator `function`; without an argument the name is that of the object itself.

    `enter(name, thing)` registers the object and returns it. Raises `InputError` for a name that is not a word.
    """
    if callable(name) and hasattr(name, "__name__"):
        return enter(name.__name__, name)
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(f"{function} takes a name of letters, digits and _, such as 'Slope', got {name!r}")
    return lambda thing: enter(name, thing)


def register(registry: dict[str, Any], function: str, name: Any, positional: Sequence[str] = ()) -> Any:
    """The return value of the decorator `function` of a registry; see `decorator`, `check_arguments` and `put`."""

    def enter(name: str, thing: Any) -> Any:
        if not callable(thing) or not hasattr(thing, "__qualname__"):
            raise InputError(f"{function}({name!r}) takes a function or a class, got {thing!r}")
        if positional:
            check_arguments(function, name, thing, positional)
        return put(registry, name, thing)

    return decorator(function, name, enter)


def check_arguments(
    function: str, name: str, thing: Any, positional: Sequence[str] = (), by_name: Sequence[str] = ()
) -> None:
    """Raise `InputError` unless the function that the decorator `function` registers takes these arguments.

    A positional argument with a default of its own, as the `lr=0.001` of an optimiser's class, has another meaning.
    """
    takes = f"{function}({name!r}) takes a function of {', '.join((*positional, *by_name))}{' by name' * bool(by_name)}"
    try:
        signature = inspect.signature(thing)
        signature.bind(*positional, **dict.fromkeys(by_name))
    except ValueError:  # a function of C may have no signature
        return
    except TypeError as error:
        raise InputError(f"{takes}: {error}") from error
    for word, parameter in zip(positional, signature.parameters.values(), strict=False):
        if parameter.default is not parameter.empty and parameter.default is not None:
            raise InputError(f"{takes}, but {word} would be its {parameter}; write a function that calls it")


def put(registry: dict[str, Any], name: str, thing: Any) -> Any:
    """Enter a class or function under its name; one of the same module and qualified name is replaced.

    Names that differ only in case are the same. Raises `InputError` if another object has the name.
    """
    same = [known for known in registry if known.lower() == name.lower()]
    for other in (registry[known] for known in same):
        if _place(other) != _place(thing):
            raise InputError(f"the name {name!r} is taken by {'.'.join(_place(other))}; give {thing.__name__} another")
    for former in same:
        del registry[former]
    registry[name] = thing
    return thing


def _place(thing: Any) -> tuple[str, str]:
    """The module and the qualified name of a class or function, or of an object's class if it has neither."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return named.__module__, named.__qualname__
