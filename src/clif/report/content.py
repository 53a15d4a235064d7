"""The content of a report: sections with charts, pictures and tables, independent of page and files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from clif.errors import InputError
from clif.report import facts, measures, results
from clif.report.charts import Chart
from clif.report.groups import Group, group_runs
from clif.report.results import Card
from clif.report.runs import Run
from clif.report.tables import Table

FIRST_CURVES = 4


@dataclass(frozen=True)
class Picture:
    """A static picture with its text alternative and its numbers as CSV."""

    name: str
    title: str
    alt: str
    caption: str
    figure: Figure
    csv: str


@dataclass(frozen=True)
class Section:
    """A part of a page; a `folded` part is shown on demand."""

    id: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    code: str = ""
    folded_title: str = ""
    folded_charts: list[Chart] = field(default_factory=list)
    folded_tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """All content of a page."""

    title: str
    lead: str
    groups: list[Group]
    runs: list[Run]
    cards: list[Card]
    verdicts: list[str]
    cautions: list[tuple[str, str]]
    sections: list[Section]

    @property
    def charts(self) -> list[Chart]:
        return [chart for section in self.sections for chart in (*section.charts, *section.folded_charts)]

    @property
    def tables(self) -> list[Table]:
        return [table for section in self.sections for table in (*section.tables, *section.folded_tables)]

    @property
    def pictures(self) -> list[Picture]:
        return [picture for section in self.sections for picture in section.pictures]


def make_report(runs: Sequence[Run], title: str = "") -> Report:
    """The report of some runs. Raises `InputError` if there are none.

    >>> _ = clif.train.fit(clif.train.resolve("digits", T=1, max_steps=2), quiet=True)
    >>> clif.report.make_report(clif.report.find_runs(["logs"])).title
    'CLIF on digits'
    """
    if not runs:
        raise InputError("name at least one run to report on")
    runs = list(runs)
    groups = group_runs(runs)
    part = results.judged_part(groups)
    comparisons = results.compare(groups, part)
    curves = results.curves(groups, runs)
    sections = [
        Section(
            "results",
            "Results",
            tables=_there(
                results.final_table(groups, part),
                results.difference_table(groups, comparisons, part),
                measures.evaluation_table(groups, runs),
            ),
            folded_title="Accuracy by class",
            folded_tables=_there(measures.classes_table(groups)),
        ),
        Section(
            "curves",
            "Learning curves",
            ["A line is the mean over the shown seeds, and its band is one sample standard deviation to each side."],
            curves[:FIRST_CURVES],
            folded_title="More curves",
            folded_charts=curves[FIRST_CURVES:],
        ),
        Section("firing", "Firing rates", charts=_there(measures.firing_chart(groups, runs))),
        Section(
            "energy",
            "Energy",
            charts=_there(measures.energy_chart(groups, runs), measures.accuracy_energy_chart(groups, runs, part)),
            tables=_there(measures.energy_table(groups)),
            folded_title="Energy by layer",
            folded_tables=_there(measures.energy_layers_table(groups)),
        ),
        Section(
            "deployment",
            "Deployment as LIF",
            charts=_there(measures.sweep_chart(groups, runs)),
            tables=_there(measures.deployment_table(groups)),
        ),
        Section("runs", "Runs", tables=[results.runs_table(groups, part, runs)]),
        Section(
            "configuration",
            "Configuration",
            [] if len(groups) > 1 else ["All runs have the same options except for their seeds."],
            tables=_there(facts.differences_table(groups)),
            folded_title="Options that all groups share",
            folded_tables=[facts.common_table(groups)],
        ),
        Section(
            "environment",
            "Environment",
            tables=_there(facts.environment_table(groups)),
            folded_title="Starts of the runs",
            folded_tables=_there(facts.starts_table(runs)),
        ),
    ]
    return Report(
        title or _title(groups),
        _lead(groups, runs),
        groups,
        runs,
        results.cards(groups, part),
        results.verdict(groups, comparisons),
        facts.cautions(groups, runs, part),
        [section for section in sections if _says_something(section)],
    )


def _there(*parts: Any) -> list[Any]:
    return [part for part in parts if part is not None]


def _says_something(section: Section) -> bool:
    return bool(section.charts or section.tables or section.folded_charts or section.folded_tables)


def _title(groups: Sequence[Group]) -> str:
    datasets = _joined(dict.fromkeys(str(group.config.get("dataset", "?")) for group in groups))
    names = _joined(group.name for group in groups) if len(groups) <= 3 else f"{len(groups)} configurations"
    return f"{names} on {datasets}"


def _lead(groups: Sequence[Group], runs: Sequence[Run]) -> str:
    models = _joined(dict.fromkeys(str(group.config.get("model", "?")) for group in groups))
    number = f"{len(runs)} runs" if len(runs) > 1 else "1 run"
    grouped = f" in {len(groups)} groups, whose runs differ only in the seed" if len(groups) > 1 else ""
    return f"{number} of {models}{grouped}."


def _joined(words: Any) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else str(last)
