"""The runs of an experiment, each in its own process, several at a time; interrupted runs continue."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from clif.errors import InputError
from clif.experiment.plan import Plan, PlannedRun
from clif.train.interrupt import Interrupted, StopRequest

POLL = 0.1
OUTPUT = "output.txt"


@dataclass
class _Started:
    run: PlannedRun
    process: subprocess.Popen[bytes]
    output: IO[bytes] | None


def train_all(plan: Plan, processes: int = 1, imports: Sequence[str] = (), quiet: bool = False) -> list[PlannedRun]:
    """Train every run of the plan that is not complete, `processes` at a time, and return all of them.

    An interrupted run continues from its last checkpoint. With several processes, or if `quiet`, each writes its output
    to output.txt in its folder; several processes share the cores. If a run fails, the function waits for the runs that
    have started and raises `InputError`. After Ctrl-C or SIGTERM it raises `Interrupted` when each run has saved its
    state.

    >>> plan = clif.experiment.make_plan("neurons", "digits", ["CLIF"], seeds=[0], T=1, max_steps=2)
    >>> [run.is_complete() for run in clif.experiment.train_all(plan, quiet=True)]
    [True]
    """
    if processes < 1:
        raise InputError(f"processes must be at least 1, got {processes}")
    runs = plan.runs()
    for run in runs:
        run.prepare()
    waiting = [run for run in runs if not run.is_complete()]
    if not quiet:
        print(f"{plan.kind}: {len(runs)} runs, {len(runs) - len(waiting)} complete, in {plan.folder}", flush=True)
    at_once = min(processes, max(1, len(waiting)))
    active: list[_Started] = []
    failed: list[PlannedRun] = []
    with StopRequest() as stop:
        while active or (waiting and not failed and stop.signum is None):
            while waiting and len(active) < at_once and not failed and stop.signum is None:
                active.append(_start(waiting.pop(0), at_once, imports, quiet))
            ended = _wait(active, stop)
            active.remove(ended)
            _tell(ended, runs, quiet)
            if ended.process.returncode and stop.signum is None:
                failed.append(ended.run)
        complete = sum(run.is_complete() for run in runs)
        if stop.signum is not None:
            raise Interrupted(stop.signum, f"{complete} of {len(runs)} runs complete", ", give the same command again")
    if failed:
        output = failed[0].folder / OUTPUT
        where = f"; see {output}" if output.is_file() else ""
        raise InputError(f"{failed[0].label} ended with an error{where}; the same command continues with the others")
    return runs


def _start(run: PlannedRun, at_once: int, imports: Sequence[str], quiet: bool) -> _Started:
    command = [sys.executable, "-m", "clif", "train", "--resume-run", str(run.folder)]
    command += [word for name in imports for word in ("--import", name)]
    if not quiet:
        print(f"\n{run.label}", flush=True)
    environment = dict(os.environ)
    output = None
    if at_once > 1:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // at_once)))
    if at_once > 1 or quiet:
        output = (run.folder / OUTPUT).open("ab")
    # A separate session: Ctrl-C reaches only this process, which then stops the others once.
    process = subprocess.Popen(
        command, stdout=output, stderr=None if output is None else output, env=environment, start_new_session=True
    )
    return _Started(run, process, output)


def _wait(active: list[_Started], stop: StopRequest) -> _Started:
    """Wait until one of the processes has ended; a request to stop is passed on to all of them."""
    told = False
    try:
        while True:
            for started in active:
                if started.process.poll() is not None:
                    if started.output is not None:
                        started.output.close()
                    return started
            if stop.signum is not None and not told:
                for started in active:
                    started.process.terminate()
                told = True
            time.sleep(POLL)
    except BaseException:
        for started in active:
            started.process.kill()
        raise


def _tell(ended: _Started, runs: list[PlannedRun], quiet: bool) -> None:
    if quiet or ended.output is None:
        return
    state = "complete" if ended.run.is_complete() else f"ended with exit code {ended.process.returncode}"
    print(f"{ended.run.label}: {state} ({sum(run.is_complete() for run in runs)} of {len(runs)})", flush=True)
