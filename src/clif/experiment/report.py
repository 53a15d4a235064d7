"""The page of an experiment's runs."""

from collections.abc import Sequence
from pathlib import Path

from clif.experiment.plan import Plan, Run
from clif.report import find_runs, make_report, write_page


def write_report(plan: Plan, runs: Sequence[Run]) -> Path:
    """Write report.html with its figures and tables in report_files, by `clif.report`, and return the page's path.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF"], seeds=[0], T=1, max_steps=2)
    >>> clif.experiment.write_report(plan, clif.experiment.train_all(plan, quiet=True)).name
    'report.html'
    """
    page = plan.folder / "report.html"
    title = f"Experiment {plan.kind}: {plan.base.dataset}, {plan.base.model}"
    write_page(make_report(find_runs([run.folder for run in runs]), title), page)
    return page
