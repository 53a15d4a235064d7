"""The facts about the runs of a report: options, machines, versions, and warnings."""

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from clif.report.groups import Group, differing, same_test_set
from clif.report.runs import Run
from clif.report.tables import Table, words

OWN_DATA = ("images", "events")
"""The data sets with samples from the user's folder."""


def differences_table(groups: Sequence[Group]) -> Table | None:
    """The options in which the groups differ; None if they do not."""
    configs = [group.config for group in groups]
    rows = [[words(name), *(words(_value(config, name)) for config in configs)] for name in differing(configs)]
    columns = ["Option", *(group.name for group in groups)]
    return Table("configuration", "Options that differ", columns, rows) if rows else None


def common_table(groups: Sequence[Group]) -> Table:
    """The options that all groups share."""
    configs = [group.config for group in groups]
    apart = {*differing(configs), "seed"}
    shared = [name for name in configs[0] if name not in apart]
    rows = [[words(name), words(_value(configs[0], name))] for name in shared]
    return Table(
        "common_configuration", "Options that all groups share (paths of the first run)", ["Option", "Value"], rows
    )


def _value(config: dict[str, Any], name: str) -> str:
    if name not in config:
        return "not recorded"
    value = config[name]
    return "yes" if value is True else "no" if value is False else "none" if value in (None, "") else str(value)


def environment_table(groups: Sequence[Group]) -> Table | None:
    """Versions and machines; runs that share them share a column."""
    runs = [run for group in groups for run in group.runs]
    columns: dict[str, tuple[dict[str, str], list[Run]]] = {}
    for run in runs:
        facts = _facts(run.starts[-1]) if run.starts else {}
        columns.setdefault(repr(facts), (facts, []))[1].append(run)
    names = list(dict.fromkeys(name for facts, _ in columns.values() for name in facts))
    rows = [[words(name), *(words(facts.get(name, "not recorded")) for facts, _ in columns.values())] for name in names]
    titles = ["All runs"] if len(columns) == 1 else [_whose(groups, of) for _, of in columns.values()]
    note = "The newest start of each run." if any(len(run.starts) > 1 for run in runs) else ""
    return Table("environment", "Machine and versions", ["Fact", *titles], rows, note=note) if rows else None


def _whose(groups: Sequence[Group], runs: Sequence[Run]) -> str:
    """Runs by group and seed."""
    seeds = [(group.name, [str(run.seed) for run in group.runs if run in runs]) for group in groups]
    return "; ".join(f"{name}: seed{'s' * (len(of) > 1)} {', '.join(of)}" for name, of in seeds if of)


def _facts(start: dict[str, Any]) -> dict[str, str]:
    machine, precision, git = (_mapping(start, key) for key in ("machine", "precision", "git"))
    gpus = machine.get("gpus")
    facts = {
        "precision": ": ".join(str(precision[key]) for key in ("computed_in", "why") if precision.get(key)),
        "host": machine.get("host"),
        "system": machine.get("system"),
        "processor": machine.get("processor"),
        "cores, threads": ", ".join(str(machine[key]) for key in ("cores", "threads") if key in machine),
        "GPUs": (", ".join(map(str, gpus)) or "none") if isinstance(gpus, list) else None,
        **{f"version of {name}": version for name, version in _mapping(start, "versions").items()},
        "commit of clif": git.get("clif"),
        "commit of the folder": git.get("folder"),
    }
    return {name: str(value).strip() for name, value in facts.items() if value not in (None, "")}


def _mapping(start: dict[str, Any], key: str) -> dict[str, Any]:
    value = start.get(key)
    return value if isinstance(value, dict) else {}


def starts_table(runs: Sequence[Run]) -> Table | None:
    """The time and command line of every start of each run."""
    rows, of_run = [], []
    for i, run in enumerate(runs):
        for start in run.starts:
            command = start.get("command")
            line = shlex.join(map(str, command)) if isinstance(command, list) else ""
            rows.append([words(run.name), words(start.get("started", "")), words(line), words(start.get("folder", ""))])
            of_run.append(i)
    columns = ["Run", "Started", "Command", "In folder"]
    return Table("starts", "Starts of the runs", columns, rows, runs=list(of_run)) if rows else None


def cautions(groups: Sequence[Group], runs: Sequence[Run], part: str) -> list[tuple[str, str]]:
    """Warnings as (runs, text): those of the trainer, then those of the report."""
    found = [(run.name, message) for run in runs for message in run.warnings]
    found += [(run.name, message) for run in runs for message in run.stale]
    for run in runs:
        if not run.is_finished:
            found.append((run.name, f"{run.state}; means and tests leave it out if others of its group have ended"))
        if any(not math.isfinite(value) for row in run.rows for name, value in row.items() if name.endswith("_loss")):
            found.append((run.name, "a loss is not a finite number in at least one epoch"))
    found += [("all runs", text) for text in _uneven(groups, runs)]
    if part != "test":
        found.append(("all runs", f"not every group has a test set: the tables show the {part} accuracy"))
    if any(run.chosen_on == "test" for run in runs):
        found.append(("best epochs", "chosen on the test set; compare the last epochs, or train with --val-split 0.1"))
    if any(not same_test_set(groups[0].config, group.config) for group in groups[1:]):
        found.append(("groups", "some groups have different test sets; these are not compared"))
    return found


def _uneven(groups: Sequence[Group], runs: Sequence[Run]) -> Iterable[str]:
    """Differences between compared runs that are not options."""
    seeds = [sorted(run.seed for run in group.complete) for group in groups]
    if any(one != seeds[0] for one in seeds):
        listed = "; ".join(f"{g.name}: {', '.join(map(str, s)) or 'none'}" for g, s in zip(groups, seeds, strict=True))
        yield f"the groups have different finished seeds ({listed}); a test pairs the seeds that both have"
    for dataset in OWN_DATA:
        folders = {str(run.config.get("data_dir")): None for run in runs if run.config.get("dataset") == dataset}
        if len(folders) > 1:
            yield f"the runs read {dataset} from different folders ({', '.join(folders)}); are they the same?"
    starts = [run.starts[-1] for run in runs if run.starts]
    for what, of in (("clif", "versions"), ("torch", "versions"), ("computed_in", "precision")):
        values = sorted({str(_mapping(start, of).get(what)) for start in starts})
        if len(values) > 1:
            words_of = (
                "were computed in different precisions" if of == "precision" else f"used different versions of {what}"
            )
            yield f"the runs {words_of}: {', '.join(values)}"
    commits = {str(_mapping(start, "git").get("clif")) for start in starts} - {"None"}
    if len(commits) > 1:
        yield "the runs used different commits of clif"
    if any(commit.endswith("-dirty") for commit in commits):
        yield "clif had changes that were not committed"
