"""Pages about runs: `run_demo` trains, deploys and writes one."""

from clif.report.demo import Demo, run_demo

__all__ = ["Demo", "run_demo"]
