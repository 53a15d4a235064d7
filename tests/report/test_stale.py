"""A report warns of measurements that do not belong to the checkpoint now in the run's folder."""

import json
import os
import shutil

import pytest
from run_folders import write_deployment, write_run

from clif.report import find_runs, make_report
from clif.train.folder import describe_checkpoint, keep_measurement

BEST, LAST = "checkpoint_best.pth", "checkpoint_last.pth"


@pytest.fixture
def run(tmp_path):
    """A run with a best checkpoint and every measurement of it."""
    folder = write_run(tmp_path / "run")
    (folder / BEST).write_bytes(b"weights")
    keep_measurement(folder, "energy.json", {"microjoule": 1.0})
    keep_measurement(folder, "eval.json", {"top1": 0.5})
    write_deployment(folder)
    path = folder / "deploy" / "deploy.json"
    path.write_text(json.dumps({**describe_checkpoint(folder), **json.loads(path.read_text())}))
    return folder


def stale(folder):
    report = make_report(find_runs([folder]))
    assert [text for _, text in report.cautions] == report.runs[0].stale
    return report.runs[0].stale


def test_measurements_of_the_checkpoint_that_is_there_need_no_warning(run, tmp_path):
    assert stale(run) == []
    os.utime(run / BEST, (1, 1))
    assert stale(run) == []  # the same content
    copied = tmp_path / "copied"
    shutil.copytree(run, copied, copy_function=shutil.copyfile)
    assert stale(copied) == []
    (run / BEST).unlink()
    assert stale(run) == []  # a folder that was shared without checkpoints


@pytest.mark.parametrize("content", [b"WEIGHTS", b"other weights"])
def test_a_checkpoint_that_changed_is_warned_of(run, content):
    status = (run / BEST).stat()
    (run / BEST).write_bytes(content)
    os.utime(run / BEST, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    found = stale(run)
    what = "was measured of another checkpoint_best.pth than the one that is there now; measure again with clif"
    assert found == [f"{file}.json {what} {file.split('/')[0]}" for file in ("energy", "eval", "deploy/deploy")]


def test_a_checkpoint_that_is_gone_or_of_no_run_is_warned_of(run):
    (run / BEST).rename(run / LAST)
    assert len(stale(run)) == 3
    assert "energy.json was measured of checkpoint_best.pth, which is not in the folder any more" in stale(run)[0]
    (run / LAST).rename(run / BEST)
    keep_measurement("hf:someone/some/net.pth", "eval.json", {}, run / "eval.json")
    (found,) = stale(run)
    assert "eval.json was measured of hf:someone/some/net.pth, which is no checkpoint of this run" in found


@pytest.mark.parametrize("said", [{}, {"checkpoint": BEST}])
def test_files_of_former_versions_are_compared_by_their_times(run, said):
    (run / "energy.json").write_text(json.dumps({"microjoule": 1.0, **said}))
    os.utime(run / "energy.json", (2e9, 2e9))
    assert stale(run) == []
    os.utime(run / BEST, (3e9, 3e9))
    assert stale(run) == ["energy.json is older than checkpoint_best.pth; measure again with clif energy"]


@pytest.mark.parametrize("damaged", [{"checkpoint": 3}, {"checkpoint": BEST, "checkpoint_file": {}}])
def test_damaged_records_are_no_errors(run, damaged):
    (run / "eval.json").write_text(json.dumps({"top1": 0.5, **damaged}))
    (found,) = stale(run)
    assert found.startswith("eval.json was measured of ")
