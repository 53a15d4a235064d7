"""The plan of an experiment: a recipe, the arms to compare, and the seeds of each.

It imports torch only for the neurons of an experiment `tau`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from clif.errors import InputError, unknown_name
from clif.files import write_content
from clif.names import CONVERTED, RENAMED
from clif.paths import expand_home
from clif.train.config import TrainConfig, resolve
from clif.train.recipe import read_yaml
from clif.train.resume import CONFIG, SUMMARY, needed_by_runs

BY_RUN = ("out_dir", "name", "resume", "seed")
"""Options that an experiment sets itself for each run."""

FREE = (*BY_RUN, "data_dir", "j", "loggers", "checkpoint_every", "keep_last", "lean_memory")
"""Options in which a run may differ from the plan and still be the run of the plan."""


@dataclass(frozen=True)
class Arm:
    """One of the compared variants: the options that replace the recipe's, its curve, and its position on the curve.

    >>> clif.experiment.make_plan("timesteps", neurons=["LIF"], values=[4]).arms
    [Arm(name='LIF, T = 4', options={'neuron': 'LIF', 'T': 4}, curve='LIF', x=4)]
    """

    name: str
    options: dict[str, Any]
    curve: str
    x: float | None = None


@dataclass(frozen=True)
class PlannedRun:
    """One training: an arm with a seed, in its folder.

    >>> run = clif.experiment.make_plan("neurons", seeds=[0, 1]).runs()[0]
    >>> run.label, run.is_complete(), run.folder.name
    ('CLIF, seed 0', False, 'CLIF_seed0')
    """

    arm: Arm
    config: TrainConfig
    folder: Path

    @property
    def label(self) -> str:
        return f"{self.arm.name}, seed {self.config.seed}"

    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return (self.folder / SUMMARY).is_file()

    def prepare(self) -> None:
        """Write the configuration into the folder, or check that the existing one is the same."""
        path = self.folder / CONFIG
        values = dataclasses.asdict(self.config)
        if not path.is_file():
            text = yaml.safe_dump(values, sort_keys=False)
            write_content(path, text)
            return
        written = {RENAMED.get(name, name): value for name, value in read_yaml(path).items()}
        there = {**dataclasses.asdict(TrainConfig()), **written}
        others = [k for k, v in values.items() if k not in FREE and there[k] != v]
        if others:
            changes = ", ".join(f"{key} {there[key]!r} there, {values[key]!r} now" for key in others)
            raise InputError(f"{self.folder} has a run with other options ({changes}); choose another --out")


@dataclass(frozen=True)
class Plan:
    """An experiment: its kind, the options that all arms share, the arms, the seeds and the folder.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF", "LIF"], seeds=[0, 1])
    >>> [run.label for run in plan.runs()]
    ['CLIF, seed 0', 'LIF, seed 0', 'CLIF, seed 1', 'LIF, seed 1']
    """

    kind: str
    base: TrainConfig
    arms: list[Arm]
    seeds: Sequence[int]
    folder: Path
    recipe: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def runs(self) -> list[PlannedRun]:
        """Every run, the first seed of all arms first. Raises `InputError` for options that are incompatible."""
        return [self._run(arm, seed) for seed in self.seeds for arm in self.arms]

    def _run(self, arm: Arm, seed: int) -> PlannedRun:
        folder = self.folder / "runs" / f"{_slug(arm.name)}_seed{seed}"
        try:
            with needed_by_runs(str(folder)):
                config = resolve(self.recipe, **{**self.options, **arm.options, "seed": seed})
        except InputError as error:
            error.args = (f"{arm.name}: {error}",)
            raise
        return PlannedRun(arm, config, folder)


@dataclass(frozen=True)
class Kind:
    """A kind of experiment: its description in the help, the option that it varies, the axis, and its arms."""

    text: str
    varies: tuple[str, ...]
    axis: str | None
    neurons: tuple[str, ...]
    arms: Callable[[TrainConfig, Sequence[str], Sequence[float]], list[Arm]]
    values: Callable[[TrainConfig], Sequence[float]] | None = None


def make_plan(
    kind: str,
    recipe: str | None = "digits",
    neurons: Sequence[str] = (),
    values: Sequence[float] = (),
    seeds: Sequence[int] = (0, 1, 2),
    folder: str | Path | None = None,
    **options: Any,
) -> Plan:
    """The plan of an experiment of `KINDS` on a recipe; `options` of `TrainConfig` replace the recipe's.

    If `neurons` and `values` are empty, they are those of the kind. The default folder is
    experiments/KIND_DATASET_MODEL. Raises `InputError` for an unknown kind, values that the kind does not take,
    repeated seeds, options that the kind sets itself, and `max_time`.

    >>> plan = clif.experiment.make_plan("tau", "digits", ["LIF"], values=[1.5, 2], epochs=3)
    >>> [arm.name for arm in plan.arms], plan.base.epochs, plan.folder.as_posix()
    (['LIF, τ = 1.5', 'LIF, τ = 2'], 3, 'experiments/tau_digits_snn5_noAP')
    """
    if kind not in KINDS:
        raise unknown_name("experiment", kind, KINDS)
    what = KINDS[kind]
    for name in (*BY_RUN, *what.varies):
        if name in options:
            instead = {"neuron": "--neurons", "seed": "--seeds", "out_dir": "--out"}.get(name)
            raise InputError(
                f"an experiment {kind} sets {name} itself; " + (f"use {instead}" if instead else "omit it")
            )
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"name each seed once, got {', '.join(map(str, seeds)) or 'none'}")
    if len({name.lower() for name in neurons}) < len(neurons) or len(set(values)) < len(values):
        raise InputError("name each neuron and each value once")
    if values and what.values is None:
        raise InputError(f"an experiment {kind} takes no --values")
    base = resolve(recipe, **options)
    if base.max_time:
        raise InputError(
            "an experiment compares runs of equal length, and max_time ends them early; use --epochs or --max-steps"
        )
    if what.values is not None and not values:
        values = what.values(base)
    arms = what.arms(base, neurons or what.neurons, values)
    by_slug: dict[str, Arm] = {}
    for arm in arms:
        if (other := by_slug.setdefault(_slug(arm.name), arm)) is not arm:
            raise InputError(
                f"the arms {other.name} and {arm.name} would have the same folder; give values that differ in their "
                "first six digits, and neurons whose letters or digits differ"
            )
    place = (
        Path(expand_home(folder)) if folder is not None else Path("experiments") / f"{kind}_{base.dataset}_{base.model}"
    )
    return Plan(kind, base, arms, seeds, place, recipe, options)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def _whole(name: str, values: Sequence[float], least: int, most: float = float("inf")) -> list[int]:
    for value in values:
        if not math.isfinite(value) or value != int(value) or not least <= value <= most:
            upper = "" if most == float("inf") else f" and at most {most:g}"
            raise InputError(f"--values of {name} must be whole numbers of at least {least}{upper}, got {value:g}")
    return [int(value) for value in values]


def _neurons(_base: TrainConfig, neurons: Sequence[str], _values: Sequence[float]) -> list[Arm]:
    return [Arm(name, {"neuron": name}, name) for name in neurons]


def _deployed(base: TrainConfig, neurons: Sequence[str], values: Sequence[float]) -> list[Arm]:
    if others := [name for name in neurons if name.upper() not in CONVERTED]:
        raise InputError(f"an experiment deployment takes the neurons {' and '.join(CONVERTED)}, got {others[0]}")
    return _neurons(base, neurons, values)


def _spiking(kind: str, neurons: Sequence[str]) -> Sequence[str]:
    if "relu" in map(str.lower, neurons):
        raise InputError(f"ReLU has a single time step and no state, so there is nothing to vary in {kind}")
    return neurons


def _timesteps(_base: TrainConfig, neurons: Sequence[str], values: Sequence[float]) -> list[Arm]:
    neurons, steps = _spiking("timesteps", neurons), _whole("timesteps", values, 1)
    return [Arm(f"{name}, T = {T}", {"neuron": name, "T": T}, name, T) for name in neurons for T in steps]


def _windows(base: TrainConfig, neurons: Sequence[str], values: Sequence[float]) -> list[Arm]:
    neurons, windows = _spiking("bptt", neurons), _whole("bptt", values, 1, base.T)
    return [
        Arm(f"{name}, k = {k}", {"neuron": name, "gradient_window": k if k < base.T else 0}, name, k)
        for name in neurons
        for k in windows
    ]


def _taus(_base: TrainConfig, neurons: Sequence[str], values: Sequence[float]) -> list[Arm]:
    from clif.neurons.registry import options_of, spiking_neuron

    neurons = _spiking("tau", neurons)
    for name in neurons:
        if not options_of(spiking_neuron(name)).keys() & {"tau", "init_tau"}:
            raise InputError(f"{name} has no time constant, so there is nothing to vary in tau")
    return [Arm(f"{name}, τ = {tau:g}", {"neuron": name, "tau": tau}, name, tau) for name in neurons for tau in values]


def _exchange(base: TrainConfig, neurons: Sequence[str], values: Sequence[float]) -> list[Arm]:
    if len(neurons) != 2:
        raise InputError(f"an experiment exchange takes two neurons, first and then, got {', '.join(neurons)}")
    if base.epochs < 2:
        raise InputError(f"an experiment exchange needs at least 2 epochs, got {base.epochs}")
    first, then = neurons
    epochs = _whole("exchange", values, 1, base.epochs - 1)
    exchanged = [
        Arm(
            f"{first}, {then} from epoch {epoch + 1}",
            {"neuron": first, "exchange_neuron": then, "exchange_epoch": epoch},
            f"{first}, then {then}",
            epoch,
        )
        for epoch in epochs
    ]
    return [Arm(first, {"neuron": first}, first), Arm(then, {"neuron": then}, then), *exchanged]


KINDS = {
    "neurons": Kind("neurons compared on one recipe", ("neuron",), None, ("CLIF", "LIF", "PLIF"), _neurons),
    "timesteps": Kind(
        "accuracy by the number of time steps T (the paper's Figure 2b)",
        ("neuron", "T"),
        "time steps T",
        ("CLIF", "LIF"),
        _timesteps,
        lambda _base: (1, 2, 4, 8),
    ),
    "bptt": Kind(
        "the gradient cut to windows of k steps (the paper's Table 3)",
        ("neuron", "gradient_window"),
        "steps k of the gradient",
        ("LIF",),
        _windows,
        lambda base: range(1, base.T + 1),
    ),
    "exchange": Kind(
        "neurons exchanged during training (the paper's Figure 3a)",
        ("neuron", "exchange_neuron", "exchange_epoch"),
        "epochs before the exchange",
        ("LIF", "CLIF"),
        _exchange,
        lambda base: (max(1, base.epochs // 2),),
    ),
    "tau": Kind(
        "accuracy by the membrane time constant τ",
        ("neuron", "tau"),
        "time constant τ",
        ("CLIF", "LIF"),
        _taus,
        lambda _base: (1.1, 1.5, 2.0, 4.0),
    ),
    "deployment": Kind(
        "networks deployed as LIF by each method (the paper's Table 8)", ("neuron",), None, CONVERTED, _deployed
    ),
}
"""The experiments by name."""
