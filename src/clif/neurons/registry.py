"""The neurons by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from torch import nn

from clif.errors import InputError, unknown_name
from clif.generate.trace import Signature, check_step
from clif.neurons.base import SpikingNeuron
from clif.registration import decorator, put

Kind = TypeVar("Kind", bound=type[SpikingNeuron])

NEURONS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU}
"""The classes by name; ReLU stands for networks without spikes."""


@overload
def register_neuron(name: Kind) -> Kind: ...
@overload
def register_neuron(name: str) -> Callable[[Kind], Kind]: ...
def register_neuron(name: Any) -> Any:
    """A class decorator: registers a neuron by name for `neuron=`, `--neuron` and `exchange_neurons`.

    Without an argument the name is that of the class. A class of the same module and qualified name is replaced, as in
    a notebook.

    Raises `InputError` for a class that is not a `SpikingNeuron`, for a name that is taken, and for a `step` that does
    not take the input, the states and the learnables by their names and in their order.

    >>> @clif.register_neuron("Integrate")
    ... class IntegrateNode(clif.SpikingNeuron):
    ...     def step(self, x, v):
    ...         u = v + x
    ...         spike = self.fire(u)
    ...         return spike, self.reset_after(u, spike)
    >>> net = clif.models.create_model("snn5_noAP", neuron="Integrate", T=2)
    """
    return decorator("register_neuron", name, _register)


def _register(name: str, kind: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, SpikingNeuron)):
        raise InputError(f"register_neuron({name!r}) takes a class derived from clif.SpikingNeuron, got {kind!r}")
    _check(kind)
    put(NEURONS, name, kind)
    kind.neuron = name
    return kind


def _check(kind: type[SpikingNeuron]) -> None:
    if kind.step is SpikingNeuron.step:
        raise InputError(f"{kind.__name__} has no step: define step(self, x, {', '.join(_names(kind)) or 'v'})")
    if not isinstance(inspect.getattr_static(kind, "states"), property):
        check_step(kind.step, Signature(kind.states, kind.learnable), kind.__name__)


def _names(kind: type[SpikingNeuron]) -> list[str]:
    states = inspect.getattr_static(kind, "states")
    return [*([] if isinstance(states, property) else states), *kind.learnable]


def neuron_name(name: str) -> str:
    """The registered spelling of a neuron's name in any case. Raises `InputError` for an unknown one."""
    if not isinstance(name, str):
        raise InputError(f'a neuron is given by its registered name, such as "CLIF", got {name!r}')
    for known in NEURONS:
        if known.lower() == name.lower():
            return known
    raise unknown_name("neuron", name, NEURONS)


def spiking_neuron(name: str) -> type[SpikingNeuron]:
    """The class of a spiking neuron by its name in any case. Raises `InputError` for an unknown one, and for ReLU."""
    kind = NEURONS[neuron_name(name)]
    if not issubclass(kind, SpikingNeuron):
        raise InputError(f"{name} is not a spiking neuron")
    return kind


def create(kind: type[SpikingNeuron], options: Mapping[str, Any]) -> SpikingNeuron:
    """A neuron with these options. Raises `InputError` if one without a default is missing."""
    known = options_of(kind)
    if missing := [name for name, option in known.items() if option.default is option.empty and name not in options]:
        raise InputError(
            f"the neuron {kind.neuron} needs {', '.join(missing)}; give a value, as in {missing[0]}=…, or define a "
            f"default in __init__ of {kind.__name__}"
        )
    return kind(**options)


def options_of(kind: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The options of `kind(...)`, including those that it passes on to `SpikingNeuron`."""
    own = dict(inspect.signature(kind).parameters)
    handed_on = [name for name, parameter in own.items() if parameter.kind == parameter.VAR_KEYWORD]
    for name in [*handed_on, *(name for name, parameter in own.items() if parameter.kind == parameter.VAR_POSITIONAL)]:
        del own[name]
    if handed_on and issubclass(kind, SpikingNeuron):
        base = next(other for other in kind.__mro__[1:] if "__init__" in vars(other))
        own = {**own, **{name: p for name, p in options_of(base).items() if name not in own}}
    return own
