"""Pages about runs: `make_report` and `write_page` of any runs, `run_demo` trains, deploys and writes one.

Names are imported on first use, because those of a page need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clif.report.content import make_report as make_report
    from clif.report.demo import Demo as Demo
    from clif.report.demo import run_demo as run_demo
    from clif.report.page import write_page as write_page
    from clif.report.runs import find_runs as find_runs

_NAMES = {
    "Demo": "clif.report.demo",
    "find_runs": "clif.report.runs",
    "make_report": "clif.report.content",
    "run_demo": "clif.report.demo",
    "write_page": "clif.report.page",
}

__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'clif.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
