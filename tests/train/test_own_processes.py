"""The user's own objects in several processes: two processes give the results of one, or an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import own_processes
import pytest
import torch
from torch.testing import assert_close

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "own_processes.py"


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """The observations of two processes in the runs of `own_processes`."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.multiprocess
def test_two_processes_equal_one(processes, tmp_path):
    one = own_processes.equal(tmp_path)
    first, second = (process["equal"] for process in processes)
    assert first["net"] == second["net"]
    for name, value in first["net"].items():
        assert_close(torch.tensor(value), torch.tensor(one["net"][name]), rtol=0, atol=1e-8)
    assert first["history"] == second["history"]
    for row, expected in zip(first["history"], one["history"], strict=True):
        assert row == pytest.approx(expected, abs=1e-9)


@pytest.mark.multiprocess
def test_every_sample_is_read_by_one_process(processes):
    first, second = (process["equal"] for process in processes)
    trained = sorted([*first["seen"], *second["seen"]])
    stand_ins = 2  # one per epoch: the batch of one sample, which is empty in the second process
    assert len(trained) == 2 * own_processes.SAMPLES + stand_ins
    evaluated = sorted([*first["evaluated"], *second["evaluated"]])
    assert evaluated == sorted(2 * [*range(own_processes.SAMPLES)])
    assert not set(first["evaluated"]) & set(second["evaluated"])


@pytest.mark.multiprocess
def test_the_order_of_a_batch_sampler_is_the_same_in_all_processes(processes):
    first, second = (process["batched"]["seen"] for process in processes)
    for epoch in (slice(0, 10), slice(10, 20)):
        assert len({*first[epoch], *second[epoch]}) == 20


@pytest.mark.multiprocess
def test_a_parameter_may_be_unused(processes, tmp_path):
    one = own_processes.unused(tmp_path)
    for process in (each["unused"] for each in processes):
        assert process["unused"] == [1.0, 1.0, 1.0]
        for name, value in process["net"].items():
            assert_close(torch.tensor(value), torch.tensor(one["net"][name]), rtol=0, atol=1e-8)


@pytest.mark.multiprocess
def test_a_process_that_fails_is_told_by_itself_and_by_the_first(processes):
    first, second = (process["lost"] for process in processes)
    assert "another process of this training ended; its own message says why" in first
    assert second == "the labels of a network of 3 classes are 0 to 2, got 2 to 7"


@pytest.mark.multiprocess
def test_a_run_of_two_processes_resumes_to_the_same_bits(processes):
    for process in processes:
        assert process["resumed"]["stopped"] == process["resumed"]["whole"]


@pytest.mark.multiprocess
def test_loaders_that_are_divided_already_are_taken_as_they_are(processes):
    first, second = (process["split"]["seen"] for process in processes)
    assert len(first) == len(second) == 20
    for epoch in (slice(0, 10), slice(10, 20)):
        assert len({*first[epoch], *second[epoch]}) == 20
    assert first[:10] != first[10:]
    assert processes[0]["split"]["history"] == processes[1]["split"]["history"]
    assert processes[0]["split"]["world_size"] == 1


@pytest.mark.multiprocess
def test_what_may_repeat_samples_is_refused(processes):
    messages, others = processes[0]["refused"], processes[1]["refused"]
    parts = {
        "list": r"loaders['train'] in 2 processes: clif does not know which samples of a list",
        "stream": "Stream is an IterableDataset",
        "strange": "Strange creates its own batches",
        "unbatched": "of SequentialSampler, which makes its batches",
        "batches": "of OwnBatches, which makes its batches",
        "sampler": "of its sampler list it is not known",
        "rank": "is for rank 0 of 2 processes, but this is rank 1 of 2; leave the sampler out",
        "random": "(from a seed, if they are random): each takes its part",
        "hand": "loaders['train'] has other samples or batches in another process",
        "clif": "was made for rank 0 of 2 processes, but this is rank 1 of 2",
        "twice": "makes 4 labels of 1 samples",
        "net": "net= differs between the processes",
        "val": "makes 22 samples of 21, so some would count twice or not at all",
    }
    assert messages.keys() == others.keys() == parts.keys()
    for name, words in parts.items():
        assert words in messages[name]
        assert "\n" not in messages[name]
    for name in ("list", "stream", "strange", "unbatched", "batches", "sampler"):
        assert "pass a torch.utils.data.DataLoader with batch_size= and a map-style data set" in messages[name]
    assert {others[name] for name in parts if name != "twice"} == {"2"}
