"""The command line on the user's own recordings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_data import train_and_move, write_folders
from refusals import fails

import clif
from clif.cli import main
from clif.train.checkpoint import read_checkpoint

LINE = "-dataset events -sensor_size 40x32 -model snn5_noAP -T 2 -b 8 -max_steps 2 -amp False -device cpu --quiet"
CLASSES = ("left", "right", "up")


def write_recording(rng: np.random.Generator, name: str, path: Path) -> None:
    """Dots that move, in milliseconds."""
    t = np.sort(rng.integers(0, 200, 100))
    x, y = rng.integers(0, 8, (2, 100)) + np.where(name == "up", [[12], [0]], [[0], [12]]) + t // 10
    x = 39 - x if name == "left" else x
    y = np.minimum(y, 31)
    file = path.with_suffix(".csv")
    np.savetxt(file, np.stack([t, x, y, t % 2], 1), "%d", ",", header="t,x,y,p", comments="")


def write_recordings(root: Path, counts=(("train", 6), ("test", 2)), names=CLASSES) -> Path:
    return write_folders(root, counts, names, write_recording)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run by time on three classes, whose recordings were moved: its folder, and that of the recordings."""
    folder = tmp_path_factory.mktemp("own")
    root = write_recordings(folder / "recordings")
    return train_and_move(folder, root, *LINE.split(), "-split_by", "time", "-time_unit", "ms")


def test_the_network_and_the_checkpoint_follow_the_data(trained):
    content = read_checkpoint(trained[0])
    assert (content["model"]["num_classes"], content["model"]["in_channels"]) == (3, 2)
    assert tuple(content["model"]["image_size"]) == (32, 40)
    data = content["data"]
    assert (data["name"], data["classes"], data["image_size"]) == ("events", list(CLASSES), [32, 40])
    assert (data["recordings"]["sensor_size"], data["recordings"]["split_by"]) == ("40x32", "time")
    assert clif.load(trained[0])(torch.zeros(2, 1, 2, 32, 40)).shape == (2, 1, 3)


def test_eval_shows_the_classes(trained, capsys):
    run, root = trained
    assert "is not a folder" in fails(capsys, "eval", run)
    assert main(["eval", str(run), "-data_dir", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == list(CLASSES)
    assert all(line.endswith("of 2") for line in lines[1:4])
    for path in (root / "test").rglob("*.csv"):
        (moved := root.parent / "us" / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        moved.write_text(path.read_text().replace("t,", "t_us,"))
    assert "times are in us according to its header, not in ms" in fails(
        capsys, "eval", run, "-data_dir", root.parent / "us"
    )
    assert main(["eval", str(run), "-data_dir", str(root.parent / "us"), "-time_unit", "us"]) == 0


def test_a_test_set_alone_is_evaluated_by_the_classes_of_the_training(trained, tmp_path, capsys):
    root = write_recordings(tmp_path, (("test", 2),), ("left", "up"))
    assert "no recording of right" in fails(capsys, "eval", trained[0], "-data_dir", root)
    assert main(["eval", str(trained[0]), "-data_dir", str(root), "-allow_incomplete"]) == 0
    assert "no test sample of right" in capsys.readouterr().out
    (root / "test" / "up").rename(root / "test" / "down")
    assert "has the class down, which the training set does not have" in fails(
        capsys, "eval", trained[0], "-data_dir", root
    )


def test_predict_and_export_need_no_folder(trained, tmp_path, capsys):
    run, root = trained
    recording = str(root / "test" / "up" / "0.csv")
    assert main(["predict", str(run), recording, "--out", str(tmp_path / "picture.png")]) == 0
    shown = capsys.readouterr().out
    assert set(CLASSES) <= set(shown.split())
    out = tmp_path / "net.safetensors"
    assert main(["export", str(run), "--format", "safetensors", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["predict", str(out), recording]) == 0
    assert capsys.readouterr().out == shown
    table = np.loadtxt(recording, delimiter=",", skiprows=1)[:, [1, 2, 3, 0]]
    np.save(tmp_path / "plain.npy", table * [1, 1, 1, 1000])
    assert "its 4 columns have no names" in fails(capsys, "predict", run, tmp_path / "plain.npy")
    line = ["-columns", "x,y,p,t", "-time_unit", "us"]
    assert main(["predict", str(run), str(tmp_path / "plain.npy"), *line]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == shown.splitlines()[1:]
    np.save(tmp_path / "mixed.npy", np.roll(table, 1, axis=0) * [1, 1, 1, 1000])
    assert "sort them by --sort-events" in fails(capsys, "predict", run, tmp_path / "mixed.npy", *line)
    assert main(["predict", str(run), str(tmp_path / "mixed.npy"), *line, "-sort_events"]) == 0


def test_a_deployed_network_still_knows_the_data(trained, tmp_path, capsys):
    run, root = trained
    assert main(["deploy", str(run), "-data_dir", str(root), "-v_resets", "0", "--out", str(tmp_path)]) == 0
    assert main(["energy", str(run), "-data_dir", str(root), "-images", "4"]) == 0
    capsys.readouterr()
    assert read_checkpoint(tmp_path / "checkpoint_lif.pth")["data"] == read_checkpoint(run)["data"]
    assert main(["predict", str(tmp_path / "checkpoint_lif.pth"), str(root / "test" / "up" / "0.csv")]) == 0


def test_data_checks_prepares_and_shows_recordings(tmp_path, capsys):
    root = write_recordings(tmp_path / "set")
    line = ["events", "-data_dir", str(root), "-sensor_size", "40x32"]
    assert "does not store the size of its sensor" in fails(capsys, "data", "check", *line[:3])
    assert main(["data", "check", *line]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"events train in {root}: 18 samples of 3 classes",
        "  left 6, right 6, up 6",
        f"events test in {root}: 6 samples of 3 classes",
        "  left 2, right 2, up 2",
    ]
    assert not (root / ".clif-cache").exists()
    assert main(["data", "prepare", *line, "-T", "3"]) == 0
    assert "events train: 18×3×2×32×40 int16" in capsys.readouterr().out
    assert main(["data", "prepare", *line, "-T", "3", "-image_size", "16"]) == 0
    assert "events train: 18×3×2×16×16 float16" in capsys.readouterr().out
    assert main(["data", "show", *line, "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.gif").is_file()
    capsys.readouterr()
    (root / "train" / "up" / "1.csv").write_text("t,x,y,p\n1,2,3,1\n1,2,x,1\n")
    assert main(["data", "check", *line]) == 1
    assert "1.csv: line 3 is not an event" in capsys.readouterr().out


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    root = write_recordings(tmp_path / "set")
    line = ["train", *LINE.split(), "-data_dir", root, "-out_dir", tmp_path]
    for words, message in (
        (["-whiten"], "whiten is for images; events has recordings of T frames"),
        (["-model", "spiking_vgg11_bn", "-image_size", "16"], "needs image_size ≥ 32, got 16"),
        (["-sensor_size", "20x20"], "outside the 20x20 pixels of the sensor"),
        (["-duration", "1000"], "need each other"),
        (["-time_unit", "ms"], "time_unit has no effect on frames by number"),
        (["-in_channels", "1"], "in_channels has no effect on the data set events"),
    ):
        assert message in fails(capsys, *line, *words)
    assert "sensor_size has no effect on the data set digits" in fails(
        capsys, "train", "digits", "-sensor_size", "8x8", "-out_dir", tmp_path
    )
