"""The command line on the user's own images, and on a data set that -import registers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_data import train_and_move, write_folders
from PIL import Image
from refusals import fails

import clif
from clif.cli import main
from clif.train.checkpoint import read_checkpoint

LINE = "-dataset images -image_size 16 -model snn5_noAP -T 1 -b 8 -max_steps 2 -amp False -device cpu --quiet"
COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}

STRIPES = """
import numpy as np
import clif


@clif.data.register_dataset
def stripes():
    def read(root, train):
        images = np.zeros((40, 1, 32, 32), np.uint8)
        images[::2, :, ::4] = 255
        return clif.data.Arrays(images, np.arange(40) % 2)

    return clif.data.Dataset("stripes", ("striped", "plain"), 1, 32, needs_root=False, read=read)
"""


def write_image(rng: np.random.Generator, name: str, path: Path) -> None:
    noise = rng.integers(-20, 20, (20, 24, 3))
    image = Image.fromarray((np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8))
    image.save(path.with_suffix(".png"))


def write_images(root: Path, counts=(("train", 8), ("test", 3)), names=tuple(COLOURS)) -> Path:
    return write_folders(root, counts, names, write_image)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on three colours, whose images were moved: its folder, and the old and the new folder of the images."""
    folder = tmp_path_factory.mktemp("own")
    root = write_images(folder / "images")
    return train_and_move(folder, root, *LINE.split())


def test_the_network_and_the_checkpoint_follow_the_data(trained):
    content = read_checkpoint(trained[0])
    assert (content["model"]["num_classes"], content["model"]["image_size"]) == (3, 16)
    data = content["data"]
    assert (data["name"], data["classes"], data["image_size"]) == ("images", ["blue", "green", "red"], 16)
    assert len(data["mean"]) == len(data["std"]) == data["in_channels"] == 3
    assert clif.load(trained[0])(torch.zeros(1, 3, 16, 16)).shape == (1, 1, 3)


def test_eval_shows_the_classes(trained, capsys):
    run, root = trained
    assert "neither a folder nor a table" in fails(capsys, "eval", run)
    assert main(["eval", str(run), "-data_dir", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["blue", "green", "red"]
    assert all(line.endswith("of 3") for line in lines[1:4])
    hits = sum(float(line.split()[1].rstrip("%")) * 3 / 100 for line in lines[1:4])
    assert f"top-1 {hits / 9:.2%}" in lines[0]


def test_a_test_set_alone_is_evaluated_by_the_classes_of_the_training(trained, tmp_path, capsys):
    root = write_images(tmp_path, (("test", 2),), ("red", "green"))
    assert "no image of blue" in fails(capsys, "eval", trained[0], "-data_dir", root)
    assert main(["eval", str(trained[0]), "-data_dir", str(root), "-allow_incomplete"]) == 0
    assert "no test sample of blue" in capsys.readouterr().out


def test_predict_and_export_need_no_folder(trained, tmp_path, capsys):
    run, root = trained
    image = str(root / "test" / "red" / "0.png")
    assert main(["predict", str(run), image]) == 0
    shown = capsys.readouterr().out
    out = tmp_path / "net.safetensors"
    assert main(["export", str(run), "--format", "safetensors", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["predict", str(out), image]) == 0
    assert capsys.readouterr().out == shown
    assert {"red", "green", "blue"} <= set(shown.split())


def test_a_deployed_network_still_knows_the_data(trained, tmp_path, capsys):
    run, root = trained
    assert main(["deploy", str(run), "-data_dir", str(root), "-v_resets", "0", "--out", str(tmp_path)]) == 0
    assert main(["energy", str(run), "-data_dir", str(root), "-images", "4"]) == 0
    capsys.readouterr()
    assert read_checkpoint(tmp_path / "checkpoint_lif.pth")["data"] == read_checkpoint(run)["data"]
    assert main(["predict", str(tmp_path / "checkpoint_lif.pth"), str(root / "test" / "red" / "0.png")]) == 0


def test_other_classes_are_refused(trained, tmp_path, capsys):
    run, _ = trained
    root = write_images(tmp_path / "two", names=("red", "green"))
    (root / "train" / "red").rename(root / "train" / "yellow")
    (root / "test" / "red").rename(root / "test" / "yellow")
    assert "has the class yellow, which the training set does not have" in fails(capsys, "eval", run, "-data_dir", root)
    write_images(tmp_path / "three")
    for part in ("train", "test"):
        (tmp_path / "three" / part / "red").rename(tmp_path / "three" / part / "yellow")
    line = ["train", *LINE.split(), "-data_dir", tmp_path / "three", "-out_dir", tmp_path, "-max_steps", "9"]
    last = run / "checkpoint_last.pth"
    assert "was trained on classes other than those of images" in fails(capsys, *line, "-resume", last)
    assert "has 3 classes, digits has 10" in fails(capsys, "eval", run, "-dataset", "digits")


def test_data_checks_prepares_and_shows_images(tmp_path, capsys):
    root = write_images(tmp_path / "set")
    line = ["images", "-data_dir", str(root), "-image_size", "16"]
    assert main(["data", "check", *line]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"images train in {root}: 24 samples of 3 classes",
        "  blue 8, green 8, red 8",
        f"images test in {root}: 9 samples of 3 classes",
        "  blue 3, green 3, red 3",
    ]
    assert not (root / ".clif-cache").exists()
    assert main(["data", "prepare", *line, "-in_channels", "1"]) == 0
    assert "images train: 24×1×16×16 uint8" in capsys.readouterr().out
    out = tmp_path / "sheet.png"
    for channels in ("1", "3"):
        assert main(["data", "show", *line, "-in_channels", channels, "--out", str(out)]) == 0
        with Image.open(out) as sheet:
            assert len(sheet.getcolors(1 << 20) or []) > 20
    capsys.readouterr()
    (root / "train" / "red" / "1.png").write_bytes(b"GIF89a")
    assert main(["data", "check", *line]) == 1
    assert "damaged: " in capsys.readouterr().out


def test_an_option_that_does_nothing_is_refused(tmp_path, capsys):
    root = write_images(tmp_path)
    for words, message in (
        (["data", "check", "images", "-data_dir", root, "-T", "4"], "-T needs event data; images has images"),
        (["data", "check", "digits", "-image_size", "9"], "image_size has no effect on the data set digits"),
        (["data", "download", "cifar10", "-image_size", "9"], "--image-size is an option of clif data check"),
        (["data", "download", "images", "-data_dir", root], "images"),
        (["train", "digits", "-resize", "stretch", "-out_dir", root], "resize has no effect on the data set digits"),
        (["train", *LINE.split(), "-in_channels", "2"], "in_channels must be 1 (grey) or 3 (RGB), got 2"),
    ):
        assert message in fails(capsys, *words)


def test_a_set_of_one_s_own_is_known_after_its_import(own_code, capsys, monkeypatch):
    from clif.data import registry

    monkeypatch.setattr(registry, "DATASETS", dict(registry.DATASETS))
    own_code.write("stripes.py", STRIPES)
    assert "unknown dataset 'stripes'" in fails(capsys, "data", "check", "stripes")
    assert main(["data", "check", "stripes", "-import", "stripes.py"]) == 0
    assert "stripes train in data: 40 samples of 2 classes" in capsys.readouterr().out
    line = "-dataset stripes -model snn5_noAP -T 1 -max_steps 1 -amp False --quiet -import stripes.py"
    assert main(["train", *line.split()]) == 0
    run = capsys.readouterr().out.splitlines()[-1].removeprefix("run folder: ")
    assert main(["eval", run]) == 0
    assert "striped" in capsys.readouterr().out
    monkeypatch.setattr(registry, "DATASETS", {k: v for k, v in registry.DATASETS.items() if k != "stripes"})
    own_code.new_process()
    assert "add --import stripes.py" in fails(capsys, "eval", run)
