"""Runs in separate processes that can be killed; a server with torch loaded forks them quickly."""

import multiprocessing
from pathlib import Path

import torch

from clif.train.config import resolve
from clif.train.loop import fit

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["killed"])


def train(options: dict) -> None:
    torch.set_num_threads(1)
    fit(resolve(**options), quiet=True)


def start(options: dict):
    process = CONTEXT.Process(target=train, args=(options,))
    process.start()
    return process


def finish(options: dict) -> Path:
    """Wait until the run ends by itself; returns its folder."""
    process = start(options)
    process.join(120)
    assert process.exitcode == 0
    return resolve(**options).run_folder()
