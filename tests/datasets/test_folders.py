"""Common variations of folders, for every set: hidden files, folders of the same name inside, other sets beside."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from people import WRITERS, write_cifar10dvs, write_cifar100, write_nmnist, write_tiny

from clif.data import create_loader, get_dataset
from clif.data.check import check_part
from clif.data.folders import choose, class_files, files_in, is_hidden
from clif.errors import InputError, MissingFileError

CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini", "._0", "._x.aedat", "._x.JPEG", "._x.bin", "._x.npy", "._wnids.txt")


def samples(name: str, root: Path) -> list[int]:
    """The numbers of training and test samples; none may be missing or damaged."""
    reports = [check_part(get_dataset(name), root, train, 2, True) for train in (True, False)]
    assert [line for report in reports for line in report.missing + report.damaged] == []
    return [report.samples for report in reports]


@pytest.fixture(params=WRITERS)
def named(request, tmp_path) -> tuple[str, Path, list[int]]:
    """Each set in a folder with its usual name, with its size."""
    folder, write = WRITERS[request.param]
    sizes = write(tmp_path / "data" / folder)
    return request.param, tmp_path / "data" / folder, sizes


@pytest.mark.parametrize("name", ["._a.JPEG", ".DS_Store", "Thumbs.db", "THUMBS.DB", "__MACOSX", ".ipynb_checkpoints"])
def test_hidden_names(name):
    assert is_hidden(name)
    assert not is_hidden(f"x{name}")


def test_clutter_is_ignored_everywhere(named):
    name, root, sizes = named
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for clutter in CLUTTER:
            (folder / clutter).write_bytes(b"\0\5\x16\7 no data")
        for hidden in (".ipynb_checkpoints", "__MACOSX"):
            copies = folder / hidden
            copies.mkdir()
            for path in [path for path in folder.iterdir() if path.is_file() and path.name not in CLUTTER][:1]:
                shutil.copy(path, copies / f"{path.stem}-checkpoint{path.suffix}")
    assert samples(name, root) == sizes
    assert samples(name, root.parent) == sizes


def test_a_set_in_a_folder_of_the_same_name(named):
    name, root, sizes = named
    inner = root / root.name
    root.rename(root.parent / "moved")
    root.mkdir()
    (root.parent / "moved").rename(inner)
    assert samples(name, root) == sizes
    assert samples(name, root.parent) == sizes


@pytest.mark.parametrize("name", ["cifar10dvs", "nmnist", "tiny_imagenet"])
def test_class_folders_in_folders_of_the_same_name(name, tmp_path):
    sizes = WRITERS[name][1](tmp_path)
    classes = [path for path in tmp_path.rglob("*") if path.is_dir() and path.name in ("airplane", "7", "n01")]
    for folder in classes:
        folder.rename(folder.with_name("moved"))
        folder.mkdir()
        folder.with_name("moved").rename(folder / folder.name)
    assert classes
    assert samples(name, tmp_path) == sizes


def test_all_sets_beside_each_other(tmp_path):
    sizes = {name: write(tmp_path / folder) for name, (folder, write) in WRITERS.items()}
    for part in ("train", "val"):
        (tmp_path / "imagenette2" / part / "n01").mkdir(parents=True)
        (tmp_path / "imagenet" / part).mkdir(parents=True)
        for i in range(201):
            (tmp_path / "imagenet" / part / f"n{i:08d}").mkdir()
    assert {name: samples(name, tmp_path) for name in WRITERS} == sizes


def test_nmnist_is_not_found_in_another_sets_numbered_folders(tmp_path):
    for label in range(11):
        folder = tmp_path / "DVSGesture" / "events_np" / "train" / str(label)
        folder.mkdir(parents=True)
        np.savez(folder / "0.npz", t=[0], x=[100], y=[0], p=[0])
    with pytest.raises(MissingFileError, match=r"no N-MNIST Train.*0\.npz is an \.npz file"):
        create_loader("nmnist", tmp_path)


@pytest.mark.parametrize("name", WRITERS)
def test_two_that_fit_equally_well_are_both_named(name, tmp_path):
    folder, write = WRITERS[name]
    write(tmp_path / folder)
    shutil.copytree(tmp_path / folder, tmp_path / f"{folder} copy")
    with pytest.raises(InputError, match=f"{folder} and .*{folder} copy both look like .*--data-dir"):
        create_loader(name, tmp_path)


def test_a_link_is_not_a_second_set(tmp_path):
    sizes = write_cifar100(tmp_path / "cifar-100-python")
    (tmp_path / "link").symlink_to(tmp_path / "cifar-100-python")
    assert samples("cifar100", tmp_path) == sizes


def test_endings_and_folders_in_another_case(tmp_path):
    dvs, nmnist = write_cifar10dvs(tmp_path / "dvs"), write_nmnist(tmp_path / "nmnist")
    for path in [*tmp_path.rglob("*.aedat"), *tmp_path.rglob("*.bin")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    (tmp_path / "nmnist" / "Train").rename(tmp_path / "nmnist" / "train")
    assert samples("cifar10dvs", tmp_path) == dvs
    assert samples("nmnist", tmp_path) == nmnist


def test_a_class_in_two_places_is_refused(tmp_path):
    write_cifar10dvs(tmp_path)
    shutil.copytree(tmp_path / "bird", tmp_path / "bird" / "bird")
    with pytest.raises(InputError, match="both hold files of the class"):
        create_loader("cifar10dvs", tmp_path)


def test_the_more_certain_folder_wins_then_the_nearer(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    ranks = {"a": (1, 9), "b": (2, 1), "c": (2, 0)}
    assert choose(tmp_path, "it", lambda folder: ranks.get(folder.name, ())) == tmp_path / "b"
    assert choose(tmp_path, "it", lambda folder: ranks.get(folder.name, (2, 0))) == tmp_path
    assert choose(tmp_path, "it", lambda _: ()) is None


def test_files_of_no_folder():
    assert files_in(Path("nowhere")) == class_files(Path("nowhere"), ".bin") == []


def test_other_image_folders_are_not_tiny_imagenet(tmp_path):
    sizes = write_tiny(tmp_path / "any name")
    for part in ("train", "val"):
        (tmp_path / part / "cat").mkdir(parents=True)
    assert samples("tiny_imagenet", tmp_path) == sizes
