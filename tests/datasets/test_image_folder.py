"""The user's own images: layouts, splits, sizes and channels, normalisation, damage, and memory."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clif.data import DataOptions, create_loader, get_dataset, open_dataset
from clif.data.check import check_files, prepare_files
from clif.data.sample import read_sample
from clif.errors import InputError, MissingFileError

SMALL = DataOptions(image_size=8)


def write(path: Path, colour: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour if mode == "L" else (colour, 10, 250)).save(path, **options)
    return path


def write_set(root: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    """Images in the folders that are the keys, each in its own colour."""
    for number, (folder, count) in enumerate(counts.items()):
        for i in range(count):
            write(root / folder / f"{i:03d}{suffix}", 10 * number + i)
    return root


def split(root: Path, train: bool, options: DataOptions = SMALL):
    dataset = open_dataset("images", root, options)
    assert dataset.find is not None
    return dataset, dataset.find(root, train, 1, False)


def labels(root: Path, train: bool, options: DataOptions = SMALL) -> list[int]:
    _, found = split(root, train, options)
    return [label for source in found.sources for label in source.labels]


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("training", "val"), ("Train", "Validation")])
def test_official_parts(tmp_path, train, test):
    root = write_set(tmp_path, {f"{train}/cat": 3, f"{train}/dog": 2, f"{test}/cat": 1, f"{test}/dog": 2, "papers": 1})
    dataset, _ = split(root, True)
    assert dataset.classes == ("cat", "dog")
    assert labels(root, True) == [0, 0, 0, 1, 1]
    assert labels(root, False) == [0, 1, 1]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("n-cars_train", "n-cars_test"),
        ("Training Data", "Testing Data"),
        ("trainset", "valset"),
        ("train2017", "val2017"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/train", "Val/val"),
    ],
)
def test_names_of_parts_as_published_sets_have_them(tmp_path, caplog, train, test):
    """Taken for classes, they would give a network that tells the training from the test images."""
    root = write_set(
        tmp_path, {f"{train}/cat": 3, f"{train}/dog": 2, f"{test}/cat": 1, f"{test}/dog": 2, "seg_pred": 1}
    )
    dataset, _ = split(root, True)
    assert dataset.classes == ("cat", "dog")
    assert labels(root, True) == [0, 0, 0, 1, 1]
    assert labels(root, False) == [0, 1, 1]
    assert "the images in seg_pred are not read" in caplog.text


@pytest.mark.parametrize("other", ["test_tube", "train_car", "station"])
def test_classes_whose_names_contain_a_part_are_classes(tmp_path, other):
    root = write_set(tmp_path, {f"{name}/{time}": 1 for name in ("train_station", other) for time in ("day", "night")})
    assert split(root, True)[0].classes == tuple(sorted(("train_station", other)))


@pytest.mark.parametrize("names", [("train1", "train2"), ("train_station", "test_tube")])
def test_classes_without_folders_whose_names_contain_a_part_are_classes(tmp_path, names):
    assert set(split(write_set(tmp_path, dict.fromkeys(names, 2)), True)[0].classes) == set(names)


def test_two_sets_of_parts_are_both_named(tmp_path):
    write_set(tmp_path, {f"{kind}_{part}/{name}": 1 for kind in "xy" for part in ("train", "test") for name in "ab"})
    with pytest.raises(InputError, match=r"x_test and .*y_test are both the test part of the set; rename one of them"):
        open_dataset("images", tmp_path, SMALL)


def test_the_test_part_comes_before_val_and_a_line_says_so(tmp_path, caplog):
    parts = ("train", "val", "test")
    root = write_set(tmp_path, {f"{part}/{name}": 1 + (part == "test") for part in parts for name in "ab"})
    assert labels(root, False) == [0, 0, 1, 1]
    assert "test is the test set, val is not read" in caplog.text


@pytest.mark.parametrize("below", [".", "mine", "mine/mine", "train"])
def test_without_parts_a_stratified_split_is_drawn(tmp_path, below):
    root = write_set(tmp_path, {f"{below}/cat/a": 10, f"{below}/dog": 5, f"{below}/emu": 2})
    assert labels(root, True) == [0] * 8 + [1] * 4 + [2]
    assert labels(root, False) == [0, 0, 1, 2]
    parts = [{source.path for source in split(root, train)[1].sources} for train in (True, False)]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == 17
    other = replace(SMALL, split_seed=3)
    assert {source.path for source in split(root, False, other)[1].sources} != parts[1]
    assert len(labels(root, False, replace(SMALL, test_split=0.5))) == 5 + 2 + 1


def test_a_seed_beside_the_options_draws_the_test_set_too(tmp_path):
    root = write_set(tmp_path, {"cat": 8, "dog": 8})
    chosen = [
        create_loader("images", root, train=False, **given).images.flatten(1).tolist()
        for given in (
            {"options": SMALL},
            {"options": SMALL, "split_seed": 3},
            {"options": replace(SMALL, split_seed=3)},
        )
    ]
    assert chosen[0] != chosen[1] == chosen[2]


def test_files_that_are_no_images_are_left_out_and_named(tmp_path, caplog):
    root = write_set(tmp_path, {"cat": 2, "dog": 2})
    for name in ("a.heic", "b.txt", "._000.png", "Thumbs.db"):
        (root / "cat" / name).write_bytes(b"x")
    assert len(labels(root, True)) == 2
    assert f"2 files are left out, images have other extensions: {root / 'cat' / 'a.heic'}, " in caplog.text
    assert len(caplog.records) == 1


def test_images_added_to_a_class_leave_the_split_of_the_others(tmp_path):
    root = write_set(tmp_path, {"cat": 10, "dog": 10})
    before = {source.path for source in split(root, False)[1].sources if source.labels == (1,)}
    write(root / "cat" / "new.png")
    assert {source.path for source in split(root, False)[1].sources if source.labels == (1,)} == before


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    assert split(write_set(tmp_path, {"10": 2, "9": 2, "0": 2}), True)[0].classes == ("0", "9", "10")


def test_a_class_may_be_called_train(tmp_path):
    assert split(write_set(tmp_path, {"train": 2, "bus": 2}), True)[0].classes == ("bus", "train")


@pytest.mark.parametrize("header", ["path,label\n", "path,label,split\n"])
def test_a_table(tmp_path, header):
    root = write_set(tmp_path, {"x": 5, "y": 5})
    part = ",train" if "split" in header else ""
    lines = [f"{folder}/{i:03d}.png,{name}{part}" for folder, name in (("x", "one"), ("y", "two")) for i in range(5)]
    if part:
        lines = [line.replace("train", "test") if "004" in line else line for line in lines]
    (table := root / "list.csv").write_text(header + "\n".join(lines))
    assert labels(table, True) == [0] * 4 + [1] * 4
    assert labels(table, False) == [0, 1]
    loader = create_loader("images", table, batch_size=8, options=SMALL)
    assert next(iter(loader))[0].shape == (8, 3, 8, 8)
    (root / "x" / "004.png").unlink()
    (root / "x" / "000.png").unlink()
    with pytest.raises(MissingFileError, match=r"000\.png, which line 2 of list\.csv names, is missing"):
        create_loader("images", table, options=SMALL)
    create_loader("images", table, options=SMALL, allow_incomplete=True)


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".webp", ".bmp", ".gif", ".tiff", ".ppm", ".tga"])
def test_every_format_is_read(tmp_path, suffix):
    loader = create_loader(
        "images", write_set(tmp_path, {"a": 3, "b": 3}, suffix), augment=False, shuffle=False, options=SMALL
    )
    assert loader.images.shape == (4, 3, 8, 8)
    assert abs(int(loader.images[0, 2].float().mean()) - 250) < 30


def pixels(path: Path, **options) -> torch.Tensor:
    """The stored pixels of an image whose class has only it and its copy."""
    root = path.parents[1]
    path.with_stem("copy").write_bytes(path.read_bytes())
    write_set(root, {"other": 2})
    loader = create_loader("images", root, augment=False, shuffle=False, options=DataOptions(image_size=8, **options))
    return loader.images[0].clone()


def test_the_centre_is_cut_out_or_all_is_stretched(tmp_path):
    array = np.zeros((8, 24, 3), np.uint8)
    array[:, 8:16] = 200
    for resize, expected in (("crop", 200.0), ("stretch", 200 / 3)):
        path = tmp_path / resize / "class" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(array).save(path)
        assert pixels(path, resize=resize).float().mean().item() == pytest.approx(expected, abs=2)


def test_grey_and_colour_become_the_channels_asked_for(tmp_path):
    for mode in ("L", "RGB"):
        for channels in (1, 3):
            path = write(tmp_path / f"{mode}{channels}" / "class" / "a.png", 90, mode=mode)
            found = pixels(path, in_channels=channels)
            assert found.shape == (channels, 8, 8)
            grey = round(0.299 * 90 + 0.587 * 10 + 0.114 * 250)
            expected = [90] * channels if mode == "L" else [grey] if channels == 1 else [90, 10, 250]
            assert found[:, 0, 0].tolist() == expected


def test_an_image_is_turned_as_its_exif_says(tmp_path):
    array = np.zeros((8, 8, 3), np.uint8)
    array[:, 4:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "class" / "a.png"
    path.parent.mkdir()
    Image.fromarray(array).save(path, exif=exif)
    assert pixels(path)[0, :, 0].tolist() == [0] * 4 + [255] * 4


@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_single_file_is_read_as_the_set_is(tmp_path, resize, channels):
    array = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(array).save(tmp_path / name / f"{i}.jpg")
    options = DataOptions(image_size=16, in_channels=channels, resize=resize)
    loader = create_loader("images", tmp_path, augment=False, options=options)
    images, _ = next(iter(loader))
    torch.testing.assert_close(read_sample(loader.dataset, tmp_path / "a" / "0.jpg", T=1), images[0])


def test_the_normalisation_is_that_of_the_training_set(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                array = rng.integers(0, 100 if part == "train" else 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(array).save(tmp_path / part / name / f"{i}.png")
    common = {"augment": False, "shuffle": False, "batch_size": 20, "options": SMALL}
    train, test = (create_loader("images", tmp_path, train, **common) for train in (True, False))
    values = train.images.float() / 255
    torch.testing.assert_close(torch.tensor(train.dataset.mean), values.mean((0, 2, 3)))
    torch.testing.assert_close(torch.tensor(train.dataset.std), values.std((0, 2, 3), correction=0))
    assert (test.dataset.mean, test.dataset.std) == (train.dataset.mean, train.dataset.std)
    shown, _ = next(iter(train))
    assert shown.mean((0, 2, 3)).abs().max() < 1e-4
    assert (shown.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_one_grey_value_everywhere_gives_no_nan(tmp_path):
    for name in "ab":
        for i in range(2):
            write(tmp_path / name / f"{i}.png")
    images, _ = next(iter(create_loader("images", tmp_path, augment=False, options=SMALL)))
    assert images.abs().max() < 1e-4


def test_training_images_are_moved_and_flipped(tmp_path):
    root = write_set(tmp_path, {"a": 9, "b": 9})
    plain, changed = (create_loader("images", root, augment=augment, options=SMALL) for augment in (False, True))
    assert not torch.equal(next(iter(plain))[0], next(iter(changed))[0])
    create_loader("images", root, cutupmix_auto=True, options=SMALL)
    with pytest.raises(InputError, match="no --cutupmix-auto"):
        create_loader("images", root, cutupmix_auto=True, options=replace(SMALL, in_channels=1))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "has no training images; images must be in ROOT/train/CLASS"),
        ({"a": 3}, "has images of one class only, a"),
        ({"a": 3, "b": 1}, "the class b has one sample"),
        ({"a": 3, "b": 0}, "b has no image that can be read"),
        ({".": 1, "a": 3, "b": 3}, r"000\.png: is not in the folder of a class"),
        ({"train/a": 1, "train/b": 1, "training/c": 1}, "are both the train part"),
        ({"test/a": 1, "test/b": 1}, "has no training images"),
        ({"train/a": 1, "train/b": 1, "test/b": 1, "test/c": 1}, "the test has the class c, which the training set"),
        ({"train/a": 1, "train/b": 1, "test/b": 1}, r"not complete: no image of a; complete it"),
    ],
)
def test_mistakes_of_layout(tmp_path, counts, message):
    write_set(tmp_path, counts)
    for folder in counts:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError, match=message):
        create_loader("images", tmp_path, train=False, options=SMALL)


def test_mistakes_of_options(tmp_path):
    root = write_set(tmp_path, {f"{part}/{name}": 2 for part in ("train", "test") for name in "ab"})
    with pytest.raises(InputError, match="has a test set of its own; leave test_split out"):
        create_loader("images", root, options=DataOptions(test_split=0.3))
    with pytest.raises(InputError, match="images instead of events"):
        create_loader("images", root, sort_events=True)
    with pytest.raises(InputError, match=r"needs its folder"):
        create_loader("images")
    with pytest.raises(InputError, match=r"depend on its folder; use open_dataset\('images', root\)"):
        get_dataset("Images")
    with pytest.raises(MissingFileError, match="neither a folder nor a table"):
        open_dataset("images", tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("path,label")
    with pytest.raises(InputError, match=r"not a table of images; these end in \.csv or \.tsv"):
        open_dataset("images", tmp_path / "notes.txt")
    for wrong in (
        {"in_channels": 2},
        {"image_size": -1},
        {"test_split": 1.0},
        {"split_seed": -1},
        {"split_seed": 1 << 32},
        {"resize": "cut"},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            DataOptions(**wrong)


def test_damaged_images_are_named_and_can_be_left_out(tmp_path):
    root = write_set(tmp_path, {"train/a": 600, "train/b": 3, "test/a": 1, "test/b": 1})
    (root / "train" / "a" / "001.png").write_bytes(b"")
    cut = root / "train" / "b" / "001.png"
    cut.write_bytes(cut.read_bytes()[:50])
    Image.fromarray(np.zeros((8, 8), np.float32)).save(root / "train" / "b" / "003.tiff")
    (root / "train" / "b" / "004.png").symlink_to(tmp_path / "none.png")
    dataset = open_dataset("images", root, SMALL)
    report, _ = check_files(dataset, root, T=1)
    assert (report.samples, len(report.damaged)) == (601, 3)
    assert "004.png: no such file" in report.missing[0]
    assert "001.png: cannot be read as an image" in report.damaged[0]
    assert "003.tiff: " in report.damaged[2]
    with pytest.raises(InputError, match=r"clif data prepare images --skip-damaged leaves it out"):
        create_loader("images", root, options=SMALL)
    train, _ = prepare_files(dataset, root, T=1, skip_damaged=True)
    assert (len(train.arrays.labels), len(train.skipped)) == (601, 4)
    np.testing.assert_array_equal(train.arrays.labels, [0] * 599 + [1] * 2)
    assert train.arrays.images[:, 0, 0, 0].tolist()[:3] == [0, 2, 3]


def test_another_size_or_split_is_another_cache(tmp_path):
    root = write_set(tmp_path, {"a": 5, "b": 5})
    for options in (SMALL, DataOptions(image_size=9), replace(SMALL, in_channels=1), replace(SMALL, split_seed=1)):
        for _ in range(2):
            create_loader("images", root, train=False, options=options)
    assert len(list((root / ".clif-cache").iterdir())) == 8


ANONYMOUS = """
import sys
from clif.data import DataOptions, create_loader

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

def run(root):
    loader = create_loader("images", root, batch_size=16, options=DataOptions(image_size=128))
    for images, labels in loader:
        pass

run(sys.argv[1])
before = anonymous()
run(sys.argv[2])
print(anonymous() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc")
def test_memory_does_not_grow_with_the_set(tmp_path):
    """After 20 MiB of images, another 120 MiB take only a few MiB of memory, for their names."""
    for folder, count in (("small", 200), ("large", 1200)):
        root = write_set(tmp_path / folder, {f"{part}/{name}": 1 for part in ("train", "test") for name in "ab"})
        for path in [root / "train" / name / "000.png" for name in "ab"]:
            for i in range(count):
                os.link(path, path.with_stem(f"more{i}"))
    done = subprocess.run(
        [sys.executable, "-c", ANONYMOUS, str(tmp_path / "small"), str(tmp_path / "large")],
        capture_output=True,
        text=True,
        check=True,
    )
    stored = sum(path.stat().st_size for path in (tmp_path / "large" / ".clif-cache").rglob("images.npy"))
    assert stored > 112 << 20
    assert int(done.stdout) << 10 < stored / 10


PEAK = """
import resource
import sys
from pathlib import Path
from clif.data.images import read_fitted

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

small, large = map(Path, sys.argv[1:])
read_fitted(small, 16, 3, "crop")
before = peak()
read_fitted(large, 16, 3, "crop")
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the unit of the peak is Linux's")
def test_a_large_image_is_in_memory_once_as_stored_and_once_in_colours(tmp_path):
    """Pillow has 1 byte for a pixel in black and white, and 4 in colours."""
    width, height = 8000, 5000
    for name, size in (("small.png", (8, 8)), ("large.png", (width, height))):
        Image.new("1", size).save(tmp_path / name)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "small.png"), str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5.5 * width * height


def test_a_table_may_name_files_that_cannot_be(tmp_path):
    write_set(tmp_path, {"a": 4})
    long, digits = "x" * 5000, "1" * 5000
    table = tmp_path / "list.csv"
    table.write_text(f"a/000.png,{digits}\na/001.png,2\na/002.png,{digits}\na/003.png,2\n{long},2\n")
    dataset = open_dataset("images", table, SMALL)
    assert dataset.classes == ("2", digits)
    assert dataset.find(table, True, 1, False).missing


def test_the_missing_images_of_a_table_explain_a_single_class(tmp_path):
    write_set(tmp_path, {"a": 2})
    (tmp_path / "list.csv").write_text("a/000.png,1\na/001.png,1\na/002.png,2\n")
    with pytest.raises(InputError, match=r"of one class only, 1; .*002\.png, which line 3 .* names, is missing"):
        open_dataset("images", tmp_path / "list.csv", SMALL)


def test_each_image_is_there_once_whatever_links_lead_to_it(tmp_path):
    """Folders that contain themselves through several links: following all of them would never end."""
    root = write_set(tmp_path, {"cat": 2, "dog": 3})
    for number in range(4):
        (root / "cat" / f"again{number}").symlink_to(root / "cat", target_is_directory=True)
        (root / "dog" / f"up{number}").symlink_to(root, target_is_directory=True)
    dataset = open_dataset("images", root, SMALL)
    assert dataset.classes == ("cat", "dog")
    assert len(labels(root, True)) + len(labels(root, False)) == 2 + 2 + 3


@pytest.mark.parametrize(
    "counts",
    [
        {"train": 3, "test": 3},
        {"Training": 2, "val": 2, "test": 2},
        {"train": 3, "test1": 3},
        {"train_images": 3, "test_images": 3},
    ],
)
def test_parts_without_class_folders_are_not_classes(tmp_path, counts):
    write_set(tmp_path, counts)
    with pytest.raises(InputError, match=r"has images of no class in .* and .*; images must be in ROOT/train/CLASS"):
        open_dataset("images", tmp_path, SMALL)


def test_parts_within_the_classes_are_said_to_be_no_parts(tmp_path, caplog):
    write_set(tmp_path, {"a/train": 4, "a/test": 1, "b/Train": 4, "b/val": 1})
    assert len(labels(tmp_path, True)) == 8
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{tmp_path}: the parts within the classes, such as a/train, are read as one set")
    write_set(tmp_path / "other", {"a/train": 4, "a/test": 1, "b/far": 4, "b/train": 1})
    caplog.clear()
    assert len(labels(tmp_path / "other", True)) == 8
    assert not caplog.records


def test_images_beside_the_parts_are_named(tmp_path, caplog):
    write_set(tmp_path, {"train/a": 4, "train/b": 4, "test": 2, "dev/a/x": 1})
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "b.txt").write_text("")
    assert labels(tmp_path, False) == [0, 1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"{tmp_path}: the images in dev, test are not read, only those in train"


@pytest.mark.parametrize(("part", "word"), [("test", "test"), ("train", "training")])
def test_a_part_of_a_table_whose_images_are_all_missing_is_named(tmp_path, part, word):
    write_set(tmp_path, {"x": 6})
    parts = ["train" if i < 4 else "test" for i in range(6)]
    rows = [f"x/{i:03d}.png,{i % 2},{one}" for i, one in enumerate(parts)]
    (table := tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    for i, one in enumerate(parts):
        if one == part:
            (tmp_path / "x" / f"{i:03d}.png").unlink()
    with pytest.raises(
        MissingFileError, match=rf"list\.csv has no {word} images; .*, which line \d of list\.csv names"
    ):
        create_loader("images", table, train=part == "train", options=SMALL, allow_incomplete=True)


def test_a_trained_network_s_test_split_does_not_matter_where_there_is_a_test_set(tmp_path):
    options = replace(SMALL, test_split=0.5)
    trained = create_loader("images", write_set(tmp_path / "one", {"a": 4, "b": 4}), options=options).dataset
    root = write_set(tmp_path / "two", {"train/a": 1, "train/b": 1, "test/a": 3, "test/b": 3})
    described = replace(trained, find=None)
    assert create_loader(described, tmp_path / "one", train=False, options=options).labels.tolist() == [0, 0, 1, 1]
    assert create_loader(described, root, train=False, options=options).labels.tolist() == [0] * 3 + [1] * 3
