import numpy as np
import pytest
import torch
from PIL import Image
from writers import make_events, nmnist

from clif.cli import main
from clif.data import DataOptions, create_loader, get_dataset
from clif.data.gallery import colour_events, colour_image, draw_gallery
from clif.errors import InputError


def test_images_keep_their_colours():
    loader = create_loader("digits", augment=False, shuffle=False, batch_size=3)
    images, _ = next(iter(loader))
    shown = colour_image(get_dataset("digits"), images[2])
    np.testing.assert_array_equal(shown.transpose(2, 0, 1), loader.images[2])


def test_events_are_blue_and_red_on_white():
    frame = torch.zeros(2, 1, 3)
    frame[0, 0, 1] = frame[1, 0, 2] = 1
    assert colour_events(frame)[0].tolist() == [[255, 255, 255], [0, 90, 181], [220, 50, 32]]


def test_a_sheet_of_images(tmp_path, capsys):
    out = tmp_path / "digits.png"
    assert main(["data", "show", "digits", "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out)]
    with Image.open(out) as sheet:
        assert sheet.size == (212, 916)
        assert len(sheet.getcolors(1 << 20) or []) > 50


def test_a_sheet_and_an_animation_of_events(tmp_path):
    folder = tmp_path / "Train" / "3"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i:05d}.bin").write_bytes(nmnist(make_events(300, 34, seed=i)))
    png, gif = draw_gallery("nmnist", tmp_path, tmp_path / "out.png", T=4, samples=3, allow_incomplete=True)
    with Image.open(png) as sheet, Image.open(gif) as animation:
        assert sheet.size[0] > animation.size[0]
        assert animation.n_frames == 4


def test_the_sheet_is_a_png_file_in_a_new_folder_or_none(tmp_path):
    (sheet,) = draw_gallery("digits", None, tmp_path / "new" / "out.PNG")
    assert sheet.stat().st_size
    with pytest.raises(InputError, match="cannot be written"):
        draw_gallery("digits", None, sheet / "out.png")
    for name in ("out.svg", "out.gif", "out"):
        with pytest.raises(InputError, match=rf"{name}: the picture must be a \.png file"):
            draw_gallery("digits", None, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_more_values_than_torch_takes_quantiles_of(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(2):
            t = np.arange(60)
            np.savez(tmp_path / name / f"{i}.npz", t=t, x=t + 1200, y=t + 600, p=t % 2)
    options = DataOptions(sensor_size="1280x720")
    paths = draw_gallery("events", tmp_path, tmp_path / "out.png", T=10, samples=1, options=options)
    assert all(path.stat().st_size for path in paths)
