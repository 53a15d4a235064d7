"""The page of an experiment: its table and figure, then the report on its runs."""

import dataclasses
from pathlib import Path

from clif.experiment.figure import picture_of
from clif.experiment.plan import KINDS
from clif.experiment.results import Results
from clif.report import find_runs, make_report, write_page
from clif.report.content import Section
from clif.report.tables import Table


def write_report(results: Results, deployment: Table | None = None) -> Path:
    """Write report.html with its figures and tables in report_files, by `clif.report`, and return the page's path.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF"], seeds=[0], T=1, max_steps=2)
    >>> results = clif.experiment.collect(plan, clif.experiment.train_all(plan, quiet=True))
    >>> clif.experiment.write_report(results).name
    'report.html'
    """
    plan = results.plan
    title = f"Experiment {plan.kind}: {plan.base.dataset}, {plan.base.model}"
    report = make_report(find_runs([folder for arm in results.arms for folder in arm.folders]), title)
    pictures = [picture_of(results)] if KINDS[plan.kind].axis is not None else []
    tables = [results.table()] if deployment is None else [results.table(), deployment]
    text = KINDS[plan.kind].text
    about = Section("experiment", text[0].upper() + text[1:], pictures=pictures, tables=tables)
    page = plan.folder / "report.html"
    write_page(dataclasses.replace(report, sections=[about, *report.sections]), page)
    return page
