"""Processes that torchrun or SLURM started, read off the environment; without torch."""

import os


def launched_processes() -> tuple[int, int] | None:
    """(processes on each machine, machines) that torchrun or SLURM's srun started, or None."""
    environ = os.environ
    if "TORCHELASTIC_RUN_ID" in environ:
        local = int(environ["LOCAL_WORLD_SIZE"])
        return local, int(environ["WORLD_SIZE"]) // local
    if int(environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        nodes = int(environ.get("SLURM_STEP_NUM_NODES", 1))
        return int(environ["SLURM_STEP_NUM_TASKS"]) // nodes, nodes
    return None
