"""The runs of an experiment as processes: complete runs are read, interrupted ones continue, failures are named."""

import signal
import subprocess
import sys
import time

import pytest

from clif.cli import main
from clif.errors import InputError
from clif.experiment import collect, make_plan, train_all

SHORT = {"T": 1, "max_steps": 1}


@pytest.mark.slow
@pytest.mark.multiprocess
def test_two_at_a_time_and_again_without_training(tmp_path, capfd):
    plan = make_plan("neurons", neurons=["CLIF", "LIF"], seeds=[0], folder=tmp_path, **SHORT)
    results = collect(plan, train_all(plan, processes=2))
    assert [len(arm.accuracies) for arm in results.arms] == [1, 1]
    assert "2 of 2" in capfd.readouterr().out
    written = {run.folder: (run.folder / "summary.json").stat().st_mtime_ns for run in plan.runs()}
    command = ["experiment", "neurons", "--neurons", "CLIF,LIF", "--seeds", "0", "--out", str(tmp_path)]
    assert main([*command, "-T", "1", "--max-steps", "1", "--quiet"]) == 0
    out = capfd.readouterr().out
    assert "CLIF leads by (points)" in out
    assert "Experiment neurons: digits" in (tmp_path / "report.html").read_text()
    assert written == {run.folder: (run.folder / "summary.json").stat().st_mtime_ns for run in plan.runs()}


@pytest.mark.multiprocess
def test_a_run_that_fails_is_named(tmp_path, capfd):
    plan = make_plan("neurons", "cifar10_snn5", neurons=["CLIF", "LIF"], folder=tmp_path, data_dir=str(tmp_path / "no"))
    with pytest.raises(InputError, match=r"CLIF, seed 0 ended with an error; see .*output\.txt"):
        train_all(plan, quiet=True)
    assert capfd.readouterr() == ("", "")
    assert "CIFAR-10" in (plan.runs()[0].folder / "output.txt").read_text()
    assert not any(run.is_complete() for run in plan.runs())


def test_at_least_one_process(tmp_path):
    with pytest.raises(InputError, match="processes must be at least 1"):
        train_all(make_plan("neurons", folder=tmp_path), processes=0)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_an_interrupted_experiment_resumes(tmp_path):
    command = [sys.executable, "-m", "clif", "experiment", "neurons", "digits", "--neurons", "CLIF", "--seeds", "0,1"]
    command += ["--out", str(tmp_path), "-T", "2", "--epochs", "4"]
    first = tmp_path / "runs" / "CLIF_seed0"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (first / "metrics.csv").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "of 2 runs complete" in said
    assert (first / "checkpoint_last.pth").is_file()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "CLIF         2" in done.stdout


@pytest.mark.slow
def test_networks_are_deployed_by_every_method(tmp_path, capfd):
    command = ["experiment", "deployment", "digits", "--neurons", "CLIF,LIF", "--seeds", "0", "--out", str(tmp_path)]
    command += ["-T", "2", "--epochs", "1"]
    assert main(command) == 0
    out = capfd.readouterr().out
    for deployed in ("as trained", "soft reset", "hard reset -0.06", "calibrate", "subtract", "finetune"):
        assert deployed in out
        assert deployed in (tmp_path / "deployment.md").read_text()
    assert main(command) == 0
