"""Groups of runs that differ only in the seed, named by the options in which the groups differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clif.report.runs import Run
from clif.train.config import WITHOUT_EFFECT

IGNORED = {*WITHOUT_EFFECT, "seed"}
FIRST_IN_NAMES = ("name", "neuron", "model", "dataset", "T", "epochs", "lr", "opt", "loss")
MOST_IN_NAME = 4


@dataclass(frozen=True)
class Group:
    """Runs with different seeds of one configuration, in the order in which they were given."""

    name: str
    runs: list[Run]

    @property
    def config(self) -> dict[str, Any]:
        return self.runs[0].config

    @property
    def complete(self) -> list[Run]:
        """The runs that have ended."""
        return [run for run in self.runs if run.is_finished]

    def figures(self, figure: Callable[[Run], float | None]) -> dict[int, float]:
        """A figure of each run that has ended, by seed."""
        values = ((run.seed, figure(run)) for run in self.complete)
        return {seed: value for seed, value in values if value is not None}


def last(column: str) -> Callable[[Run], float | None]:
    """The figure in a column of a run's newest epoch."""
    return lambda run: run.last.get(column)


def best(column: str) -> Callable[[Run], float | None]:
    """The figure in a column of a run's best epoch."""
    return lambda run: run.best.get(column)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """The groups, in the order of their first runs. A second run with the same seed forms a separate group."""
    members: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        key = repr(sorted((name, repr(value)) for name, value in run.config.items() if name not in IGNORED))
        nth = 0
        while any(run.seed == other.seed for other in members.get((key, nth), [])):
            nth += 1
        members.setdefault((key, nth), []).append(run)
    groups = list(members.values())
    return [Group(name, group) for name, group in zip(_names(groups), groups, strict=True)]


def differing(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The options that do not have the same value in all configurations, those of `FIRST_IN_NAMES` first."""
    known = dict.fromkeys((*FIRST_IN_NAMES, *(name for config in configs for name in config)))
    return [name for name in known if name not in IGNORED and len({repr(c.get(name)) for c in configs}) > 1]


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    configs = [group[0].config for group in groups]
    options = differing(configs)[:MOST_IN_NAME] or ["neuron"]
    names = [", ".join(filter(None, (_words(config, option) for option in options))) for config in configs]
    names = [
        name or str(config.get("neuron", group[0].name))
        for name, config, group in zip(names, configs, groups, strict=True)
    ]
    doubled = {name for name in names if names.count(name) > 1}
    return [f"{name} ({group[0].name})" if name in doubled else name for name, group in zip(names, groups, strict=True)]


def _words(config: dict[str, Any], option: str) -> str:
    value = config.get(option)
    if option in ("name", "neuron", "model", "dataset", "opt"):
        return str(value or "")
    return f"{option}={value}"


def same_test_set(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two configurations are evaluated on the same test images."""
    return all(a.get(option) == b.get(option) for option in ("dataset", "test_split", "split_seed"))
