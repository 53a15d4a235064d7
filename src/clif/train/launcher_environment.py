"""Processes that torchrun or SLURM started, from the environment; without torch."""

import os
from typing import Literal

from clif.errors import InputError


def launcher() -> Literal["torchrun", "slurm"] | None:
    """The launcher that started this process and others, or None.

    A step of SLURM's srun has the number of its tasks. If it does not, the job's number counts (Lightning Fabric's
    rule), except in the batch script itself and in a shell of an interactive job, which are one process.
    """
    environ = os.environ
    if "TORCHELASTIC_RUN_ID" in environ:
        return "torchrun"
    if "SLURM_STEP_NUM_TASKS" in environ:
        return "slurm" if int(environ["SLURM_STEP_NUM_TASKS"]) > 1 else None
    is_task = "SLURM_PROCID" in environ and environ.get("ENVIRONMENT") != "BATCH"
    is_shell = environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "slurm" if is_task and not is_shell and int(environ.get("SLURM_NTASKS", 1)) > 1 else None


def launched_processes() -> tuple[int, int] | None:
    """(processes on each machine, machines) of torchrun or SLURM's srun, or None.

    Raises `InputError` if the machines have different numbers of processes.
    """
    environ, by = os.environ, launcher()
    if by is None:
        return None
    if by == "torchrun":
        local = int(environ["LOCAL_WORLD_SIZE"])
        return local, int(environ["WORLD_SIZE"]) // local
    tasks = int(environ.get("SLURM_STEP_NUM_TASKS", environ.get("SLURM_NTASKS", 1)))
    nodes = int(environ.get("SLURM_STEP_NUM_NODES", environ.get("SLURM_NNODES", 1)))
    if tasks % nodes:
        raise InputError(f"srun started {tasks} tasks on {nodes} machines; start equal numbers: --ntasks-per-node")
    return tasks // nodes, nodes
