from pathlib import Path

import pytest
from writers import make_events, nmnist

from clif.cli import main
from clif.data import get_dataset
from clif.data.check import check_files, prepare_files
from clif.errors import InputError


@pytest.fixture
def root(tmp_path) -> Path:
    for part, count in (("Train", 3), ("Test", 1)):
        for digit in range(10):
            folder = tmp_path / part / str(digit)
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:05d}.bin").write_bytes(nmnist(make_events(50, 34, seed=number)))
    return tmp_path


def test_a_clean_folder(root, capsys):
    assert main(["data", "check", "nmnist", "-data_dir", str(root), "-T", "4", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert f"nmnist train in {root}: 30 samples of 10 classes" in out
    assert "the published set has 60000 samples" in out
    assert "0 3, 1 3, 2 3" in out
    assert "damaged" not in out
    assert not list(root.glob(".*")), "checking writes nothing"


def test_damage_and_what_is_missing_are_listed(root, capsys):
    (root / "Train" / "4" / "00001.bin").write_bytes(b"123")
    for path in (root / "Test").rglob("*.bin"):
        path.unlink()
    train, test = check_files(get_dataset("nmnist"), root, T=4)
    assert (train.samples, train.counts["4"], train.counts["5"]) == (29, 2, 3)
    assert "00001.bin: 3 bytes" in train.damaged[0]
    assert (test.samples, len(test.missing)) == (0, 1)
    assert main(["data", "check", "nmnist", "--data-dir", str(root)]) == 1
    out = capsys.readouterr().out
    assert "damaged: " in out
    assert "missing: no N-MNIST Test folder" in out


def test_prepare_leaves_damaged_files_out_only_when_told(root, capsys):
    (root / "Train" / "4" / "00001.bin").write_bytes(b"")
    assert main(["data", "prepare", "nmnist", "-data_dir", str(root), "-T", "4", "--quiet"]) == 2
    assert "--skip-damaged leaves it out" in capsys.readouterr().err
    arguments = ["data", "prepare", "nmnist", "-data_dir", str(root), "-T", "4", "--quiet", "--skip-damaged"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "nmnist train: 29×4×2×34×34 int16, 0.5 MiB" in out
    assert "left out: " in out
    train, test = prepare_files(get_dataset("nmnist"), root, T=4)
    assert (len(train.arrays.labels), len(train.skipped), len(test.skipped)) == (29, 1, 0)


def test_sets_that_are_read_as_they_are(capsys):
    assert main(["data", "check", "digits"]) == 0
    assert "digits train in data: 1437 samples of 10 classes" in capsys.readouterr().out
    with pytest.raises(InputError, match="digits needs no preparation"):
        prepare_files(get_dataset("digits"), Path(), T=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nmist"], "did you mean nmnist"),
        (["check", "nmnist", "-T", "0"], "-T must be at least 1"),
        (["check", "digits", "--skip-damaged"], "is an option of clif data prepare"),
        (["check", "digits", "--out", "x.png"], "is an option of clif data show"),
        (["chekc", "digits"], "unknown action 'chekc'; did you mean check"),
        (["check", "digits", "-T", "4"], "-T needs event data; digits has images"),
        (["download", "cifar10dvs", "-T", "4"], "-T is an option of clif data check"),
        (["show", "digits", "--quiet"], "--quiet is an option of clif data check, prepare and download"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert main(["data", *arguments]) == 2
    assert message in capsys.readouterr().err
