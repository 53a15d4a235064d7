"""Two processes compared with one: the same losses, each sample once, one writer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import Recorder

from clif.data import create_loader
from clif.errors import InputError
from clif.train.config import resolve
from clif.train.engine import with_processes
from clif.train.launcher_environment import launched_processes, launcher

SCRIPT = Path(__file__).parent / "processes.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
EXACT = {"dtype": "float64", "sync_bn": True, "T": 2}


def torchrun(folder, options, processes=2):
    """The observations of each process of a run."""
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder), json.dumps(options)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]


def alone(options):
    """A run in this process: each batch's loss, weighted as in its step, and the trainer."""
    trainer = Recorder(resolve(**options), quiet=True)
    trainer.fit()
    return trainer


def assert_equal_runs(one, many, tolerance=1e-10):
    together = [sum(losses) for losses in zip(*(process["losses"] for process in many), strict=True)]
    assert together == pytest.approx(one.losses, rel=0, abs=tolerance)
    keys = [[key for process in many for key in process["keys"][number]] for number in range(len(one.keys))]
    assert keys == one.keys
    for name, value in many[0]["net"].items():
        torch.testing.assert_close(
            torch.tensor(value, dtype=torch.float64), one.net.state_dict()[name].double(), rtol=0, atol=1e-8
        )
    for row, expected in zip(many[0]["history"], one.history, strict=True):
        assert row == pytest.approx({key: expected[key] for key in row}, abs=1e-9)
    assert all(process["history"] == many[0]["history"] for process in many)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_two_processes_have_the_losses_of_one(short_run, tmp_path):
    options = {**short_run, **EXACT, "b": 7, "drop_rate": 0.3, "cutupmix_auto": True, "epochs": 2, "accumulate": 2}
    options |= {"ema": 0.9, "clip_grad_norm": 1.0, "log_grad_norm": True, "log_firing_rates": True}
    many = torchrun(tmp_path / "two", {**options, "out_dir": str(tmp_path / "two" / "logs")})
    one = alone({**options, "out_dir": str(tmp_path / "one")})
    assert len(one.losses) == 16
    assert [process["sizes"][-2:] for process in many] == [[4, 1], [3, 0]]
    assert_equal_runs(one, many)
    keys = [key for batch in one.keys for key in batch]
    assert len(set(keys)) == len(keys) == 100
    assert {"checkpoint_last.pth", "checkpoint_best.pth", "metrics.csv"} <= set(many[0]["files"])


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(("model", "neuron"), [("spiking_resnet18", "CLIF"), ("snn5", "LIF"), ("snn5", "PLIF")])
def test_ten_steps_of_three_processes_are_those_of_one(short_run, model, neuron, tmp_path):
    options = {**short_run, "model": model, "neuron": neuron, "b": 5, "epochs": 1, **EXACT}
    many = torchrun(tmp_path / "three", {**options, "out_dir": str(tmp_path / "three" / "logs")}, processes=3)
    one = alone({**options, "out_dir": str(tmp_path / "one")})
    assert len(one.losses) == 10
    assert_equal_runs(one, many)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_local_batch_norm_trains_and_all_processes_report_the_same(short_run, tmp_path):
    options = {**short_run, "b": 7, "epochs": 2, "out_dir": str(tmp_path / "two" / "logs")}
    many = torchrun(tmp_path / "two", options)
    assert many[0]["history"] == many[1]["history"]
    assert len(many[0]["history"]) == 2


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_command_line_starts_its_processes_and_speaks_once(short_run, tmp_path):
    options = {**short_run, "epochs": 1, "devices": 2, "device": "cpu", "out_dir": str(tmp_path)}
    arguments = [f"--{key}={value}" for key, value in options.items()]
    launcher = tmp_path / "clif"
    launcher.write_text("import sys\nfrom clif.cli import main\nsys.exit(main(sys.argv[1:]))\n")
    command = [sys.executable, str(launcher), "train", *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder: ") == 1
    broken = subprocess.run(
        [*command, "--data_dir", str(tmp_path / "nowhere")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert broken.returncode != 0
    assert broken.stderr.count("clif: error: ") == 1
    assert "Traceback" not in broken.stderr


@pytest.mark.parametrize("b", [7, 10, 50])
@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_shares_of_a_batch_are_the_batch(tiny_cifar10, b, world_size):
    options = {"root": tiny_cifar10, "batch_size": b, "cutupmix_auto": True}
    whole = list(create_loader("cifar10", **options).shares(1))
    parts = [
        list(create_loader("cifar10", **options, rank=rank, world_size=world_size).shares(1))
        for rank in range(world_size)
    ]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert all(share.batch_size == batch.batch_size == len(batch.labels) for share in shares)
        sizes = [len(share.labels) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        assert sizes == sorted(sizes, reverse=True)
        for name in ("images", "labels", "keys"):
            together = torch.cat([getattr(share, name) for share in shares])
            torch.testing.assert_close(together, getattr(batch, name), rtol=0, atol=0)


def test_keys_belong_to_the_sample_and_the_epoch():
    loader = create_loader("digits", batch_size=100)
    first, second = (torch.cat([share.keys for share in loader.shares(epoch)]) for epoch in (0, 1))
    assert len(set(first.tolist())) == len(first) == loader.num_samples
    assert not set(first.tolist()) & set(second.tolist())
    other = create_loader("digits", batch_size=7)
    assert set(torch.cat([share.keys for share in other.shares(0)]).tolist()) == set(first.tolist())


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0)])
def test_a_rank_that_is_none_is_refused(rank, world_size):
    with pytest.raises(InputError, match="the ranks are"):
        create_loader("digits", rank=rank, world_size=world_size)


def test_processes_that_torchrun_or_slurm_started_are_found(monkeypatch):
    assert launched_processes() is None
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_STEP_NUM_TASKS", "8")
        patch.setenv("SLURM_STEP_NUM_NODES", "2")
        assert launched_processes() == (4, 2)
    job = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train"}
    with monkeypatch.context() as patch:
        for name, value in job.items():
            patch.setenv(name, value)
        assert (launcher(), launched_processes()) == ("slurm", (2, 2))
        for name, value in {"SLURM_JOB_NAME": "interactive", "ENVIRONMENT": "BATCH"}.items():
            with monkeypatch.context() as alone:
                alone.setenv(name, value)
                assert launched_processes() is None
        patch.setenv("SLURM_STEP_NUM_TASKS", "1")
        assert launched_processes() is None
        patch.setenv("SLURM_STEP_NUM_TASKS", "5")
        patch.setenv("SLURM_STEP_NUM_NODES", "2")
        with pytest.raises(InputError, match="srun started 5 tasks on 2 machines; start equal numbers"):
            with_processes(resolve())
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}.items():
        monkeypatch.setenv(name, value)
    assert launched_processes() == (2, 3)
    config = resolve()
    with_processes(config)
    assert (config.devices, config.nodes) == (2, 3)
    with pytest.raises(InputError, match="2 processes were started on each of 3 machines"):
        with_processes(resolve(devices=4))
