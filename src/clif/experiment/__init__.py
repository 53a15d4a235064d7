"""Experiments: the same recipe with several neurons, time steps, windows or time constants, over several seeds.

    >>> plan = clif.experiment.make_plan("neurons", "digits", neurons=("CLIF", "LIF"), seeds=(0, 1), epochs=2)
    >>> results = clif.experiment.collect(plan, clif.experiment.train_all(plan))

The same call again reads complete runs and continues interrupted ones.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clif.experiment.deployment import deploy_all as deploy_all
    from clif.experiment.figure import chart_of as chart_of
    from clif.experiment.plan import KINDS as KINDS
    from clif.experiment.plan import Arm as Arm
    from clif.experiment.plan import Plan as Plan
    from clif.experiment.plan import PlannedRun as PlannedRun
    from clif.experiment.plan import make_plan as make_plan
    from clif.experiment.report import write_report as write_report
    from clif.experiment.results import ArmResult as ArmResult
    from clif.experiment.results import Results as Results
    from clif.experiment.results import collect as collect
    from clif.experiment.runs import train_all as train_all

_NAMES = {
    "KINDS": "clif.experiment.plan",
    "Arm": "clif.experiment.plan",
    "ArmResult": "clif.experiment.results",
    "Plan": "clif.experiment.plan",
    "PlannedRun": "clif.experiment.plan",
    "Results": "clif.experiment.results",
    "chart_of": "clif.experiment.figure",
    "collect": "clif.experiment.results",
    "deploy_all": "clif.experiment.deployment",
    "make_plan": "clif.experiment.plan",
    "train_all": "clif.experiment.runs",
    "write_report": "clif.experiment.report",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'clif.experiment' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
