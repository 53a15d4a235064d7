import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clif.data import create_loader
from clif.data.tiny_imagenet import find_tiny_imagenet
from clif.errors import InputError, MissingFileError

REAL = os.environ.get("CLIF_TEST_DATA")
WNIDS = ["n02", "n01", "n03"]


def jpeg(value: int, mode: str = "RGB", size: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (size, size), value if mode == "L" else (value, 0, 255 - value)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path) -> Path:
    """Three classes, 2 training and 1 validation image each, in the publisher's layout; n02_1 is grey."""
    base = tmp_path / "tiny-imagenet-200"
    (base / "val" / "images").mkdir(parents=True)
    (base / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    for i, wnid in enumerate(WNIDS):
        (base / "train" / wnid / "images").mkdir(parents=True)
        for k in range(2):
            content = jpeg(100 * i, "L" if (wnid, k) == ("n02", 1) else "RGB")
            (base / "train" / wnid / "images" / f"{wnid}_{k}.JPEG").write_bytes(content)
        (base / "val" / "images" / f"val_{i}.JPEG").write_bytes(jpeg(100 * i))
    rows = [f"val_{i}.JPEG\t{wnid}\t0\t0\t62\t62\n" for i, wnid in enumerate(WNIDS)]
    (base / "val" / "val_annotations.txt").write_text("".join(rows))
    return tmp_path


def labels(root: Path, train: bool) -> list[int]:
    return [label for source in find_tiny_imagenet(root, train, 1).sources for label in source.labels]


def test_publishers_layout(root):
    train = create_loader("tiny_imagenet", root, batch_size=6, augment=False, shuffle=False)
    images, classes = next(iter(train))
    assert images.shape == (6, 3, 64, 64)
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    pixels = train.images
    assert pixels[0].float().mean((1, 2)).tolist() == pytest.approx([100, 0, 155], abs=3)
    assert pixels[3].float().mean((1, 2)).tolist() == pytest.approx([0, 0, 0], abs=3), "grey in three channels"
    _, classes = next(iter(create_loader("tiny_imagenet", root / "tiny-imagenet-200", train=False)))
    assert classes.tolist() == [0, 1, 2]


def test_sorted_class_folders_without_lists(root):
    base = root / "tiny-imagenet-200"
    (base / "wnids.txt").unlink()
    for i, wnid in enumerate(WNIDS):
        (base / "val" / wnid).mkdir()
        (base / "val" / "images" / f"val_{i}.JPEG").rename(base / "val" / wnid / f"val_{i}.JPEG")
    (base / "val" / "images").rmdir()
    (base / "val" / "val_annotations.txt").unlink()
    assert labels(root, train=False) == [0, 1, 2]
    assert labels(root, train=True) == [0, 0, 1, 1, 2, 2]


def test_labels_follow_the_list_not_the_folders_that_are_there(root):
    shutil.rmtree(root / "tiny-imagenet-200" / "train" / "n01")
    assert labels(root, train=True) == [1, 1, 2, 2]


def in_class_folders(base: Path, place: str) -> None:
    """Move the validation images to `place`, in which {} stands for the class."""
    for row in (base / "val" / "val_annotations.txt").read_text().splitlines():
        name, wnid = row.split("\t")[:2]
        folder = base / "val" / place.format(wnid)
        folder.mkdir(parents=True, exist_ok=True)
        (base / "val" / "images" / name).rename(folder / name)


@pytest.mark.parametrize("place", ["images/{}", "{}", "{}/images", "{}/{}", ".", "val/images"])
@pytest.mark.parametrize("annotations", [True, False])
@pytest.mark.parametrize("leftover", [True, False])
def test_every_form_of_val(root, place, annotations, leftover):
    base = root / "tiny-imagenet-200"
    in_class_folders(base, place.replace("{}/{}", "{0}/{0}"))
    if not leftover and not place.startswith("images"):
        (base / "val" / "images").rmdir()
    if not annotations:
        (base / "val" / "val_annotations.txt").unlink()
    if annotations or "{" in place:
        split = find_tiny_imagenet(root, False, 1)
        assert [source.labels for source in split.sources] == [(0,), (1,), (2,)]
        assert split.missing == ()
    else:
        with pytest.raises(MissingFileError, match=r"val_annotations\.txt, which lists the classes"):
            find_tiny_imagenet(root, False, 1)


def test_a_folder_and_the_annotations_must_agree(root):
    base = root / "tiny-imagenet-200"
    in_class_folders(base, "{}")
    (base / "val" / "n01" / "val_1.JPEG").rename(base / "val" / "n02" / "val_1.JPEG")
    with pytest.raises(InputError, match=r"val_1\.JPEG: is in the folder of n02, but val_annotations\.txt gives n01"):
        create_loader("tiny_imagenet", root, train=False)


def test_fewer_classes_are_accepted_but_not_in_one_part_only(root, caplog):
    base = root / "tiny-imagenet-200"
    (base / "wnids.txt").write_text("\n".join([*WNIDS, "n09"]))
    assert create_loader("tiny_imagenet", root).num_samples == 6
    shutil.rmtree(base / "train" / "n02")
    with pytest.raises(MissingFileError, match=r"train has no image of n02.*--allow-incomplete"):
        create_loader("tiny_imagenet", root)
    assert create_loader("tiny_imagenet", root, allow_incomplete=True).labels.tolist() == [0, 0, 2, 2]
    assert "tiny_imagenet train in" in caplog.text


def test_16_bit_images_are_scaled(root):
    image = root / "tiny-imagenet-200" / "train" / "n01" / "images" / "n01_0.JPEG"
    Image.fromarray(np.full((64, 64), 0x4000, dtype=np.uint16)).save(image, "PNG")
    assert create_loader("tiny_imagenet", root, shuffle=False).images[0].unique().tolist() == [0x40]


def damage(base: Path, kind: str) -> str:
    """Damage the folder and return the expected error."""
    image = base / "train" / "n01" / "images" / "n01_0.JPEG"
    table = base / "val" / "val_annotations.txt"
    if kind == "cut":
        image.write_bytes(image.read_bytes()[:300])
    elif kind == "empty":
        image.write_bytes(b"")
    elif kind == "foreign":
        image.write_bytes(b"GIF89a" + bytes(100))
    elif kind == "size":
        image.write_bytes(jpeg(0, size=65))
    elif kind == "table":
        table.write_text("val_0.JPEG\n")
        return "line 1 does not name"
    elif kind == "escape":
        table.write_text("../../secret.JPEG n01\n")
        return "line 1 does not name"
    elif kind == "class":
        table.write_text("val_0.JPEG n99 0 0 1 1\n")
        return "n99, which is in neither"
    elif kind == "twice":
        table.write_text("val_0.JPEG n01\nval_0.JPEG n02\n")
        return "val_0.JPEG a second time"
    elif kind == "missing":
        (base / "val" / "images" / "val_1.JPEG").unlink()
        return r"val_1.JPEG, which val_annotations.txt names, is missing"
    return "n01_0.JPEG: .*(cannot be read|is 65×65)"


@pytest.mark.parametrize("kind", ["cut", "empty", "foreign", "size", "table", "escape", "class", "twice", "missing"])
def test_damage_is_named(root, kind):
    message = damage(root / "tiny-imagenet-200", kind)
    with pytest.raises(InputError, match=message):
        create_loader("tiny_imagenet", root, train=kind in ("cut", "empty", "foreign", "size"))


def test_where_to_get_it(tmp_path):
    with pytest.raises(MissingFileError, match="cs231n"):
        create_loader("tiny_imagenet", tmp_path)
    with pytest.raises(MissingFileError, match="not a folder"):
        create_loader("tiny_imagenet", tmp_path / "nowhere")
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"")
    with pytest.raises(MissingFileError, match=r"unzip tiny-imagenet-200\.zip"):
        create_loader("tiny_imagenet", tmp_path)


@pytest.mark.skipif(REAL is None, reason="CLIF_TEST_DATA names no folder with the unpacked data")
def test_real_images():
    assert REAL is not None
    split = find_tiny_imagenet(Path(REAL), False, 1)
    assert np.bincount([source.labels[0] for source in split.sources]).tolist() == [50] * 10
    assert all(source.load().shape == (1, 3, 64, 64) for source in split.sources[:60])
