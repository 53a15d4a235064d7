"""A run that is killed with SIGKILL at any moment continues with the same bits."""

import os
import random
import time

import killed
import pytest
from runs import BEST, LAST, numbers, rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close

from clif.train.checkpoint import read_checkpoint

pytestmark = [pytest.mark.multiprocess, pytest.mark.skipif(os.name != "posix", reason="forks its processes")]

EPOCHS = 2
OPTIONS = {
    "epochs": EPOCHS,
    "T_max": EPOCHS,
    "drop_rate": 0.3,
    "checkpoint_every": 1,
    "cutupmix_auto": True,
    "ema": 0.9,
}
OPTIONS |= {"log_grad_norm": True, "log_firing_rates": True, "warmup_epochs": 1.5, "clip_grad_norm": 1.0, "b": 8}


def scalars(folder):
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(event.step, event.value) for event in events.Scalars("test/loss")]


def assert_same_run(folder, whole):
    for name in (LAST, BEST):
        content, expected = (read_checkpoint(run / name) for run in (folder, whole))
        for key in ("net", "net_raw", "optimizer", "lr_scheduler", "epoch", "max_test_acc"):
            assert_close(content[key], expected[key], rtol=0, atol=0)
    assert numbers(rows(folder)) == numbers(rows(whole))
    assert scalars(folder) == scalars(whole)
    assert not list(folder.glob(".writing-*"))
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def kill_and_compare(short_run, tmp_path, kills, seed):
    """Kill runs at `kills` random moments, and continue each until it has ended."""
    options = {**short_run, **OPTIONS, "resume": "auto"}
    began = time.perf_counter()
    whole = killed.finish({**options, "out_dir": str(tmp_path / "whole")})
    length = time.perf_counter() - began
    moments = random.Random(seed)
    run = done = 0
    while done < kills:
        here = {**options, "out_dir": str(tmp_path / str(run))}
        process = killed.start(here)
        process.join(moments.uniform(0, 0.7 * length))
        if process.exitcode is None:
            process.kill()
            done += 1
        process.join()
        folder = whole.parent.parent / str(run) / whole.name
        if (folder / LAST).exists():
            content = read_checkpoint(folder / LAST)
            if (content["epoch"], content["progress"]["step"]) == (EPOCHS - 1, 0):
                assert_same_run(killed.finish(here), whole)
                run += 1
    assert_same_run(killed.finish(here), whole)


@pytest.mark.slow
def test_a_run_killed_three_times_ends_with_the_bits_of_an_undisturbed_one(short_run, tmp_path):
    kill_and_compare(short_run, tmp_path, kills=3, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_run_killed_twenty_times_ends_with_the_bits_of_an_undisturbed_one(short_run, tmp_path, seed):
    kill_and_compare(short_run, tmp_path, kills=20, seed=seed)
