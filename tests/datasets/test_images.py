import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clif.data.images import image_size, images_in, read_fitted, read_rgb
from clif.errors import InputError, MissingFileError

RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def png16(channels: int) -> bytes:
    """A PNG with 16 bits per channel, each of which is the ramp, written by the specification of the format."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.stack([RAMP] * channels, axis=-1))
    header = struct.pack(">IIBBBBB", 64, 64, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_become_the_upper_8(tmp_path, channels):
    path = tmp_path / "a.png"
    path.write_bytes(png16(channels))
    np.testing.assert_array_equal(read_rgb(path, 64, 64), np.stack([RAMP >> 8] * 3))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("L", {"transparency": 5}),
        ("1", {}),
        ("LA", {}),
        ("RGB", {}),
        ("RGB", {"transparency": (1, 2, 3)}),
        ("RGBA", {}),
        ("P", {}),
        ("P", {"transparency": 3}),
        ("P", {"transparency": bytes([0] * 10 + [128] * 246)}),
    ],
)
def test_any_channels_become_three_without_a_warning(tmp_path, mode, options):
    image = Image.fromarray(COLOURS).convert(mode)
    image.save(tmp_path / "a.png", **options)
    pixels = read_rgb(tmp_path / "a.png", 64, 64)
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(("name", "dtype"), [("dark.png", np.uint16), ("dark.tif", np.uint16), ("dark.tif", np.int32)])
def test_values_of_8_bits_in_more_bits_are_refused(tmp_path, name, dtype):
    """Their upper 8 bits of 16 are 0: the image would be black."""
    path = tmp_path / name
    Image.fromarray(np.full((8, 8), 200, dtype)).save(path)
    with pytest.raises(InputError, match=rf"{name}: its grey values are at most 200, .* save it with 8 bits"):
        read_fitted(path, 4, 1, "crop")
    Image.fromarray(np.zeros((8, 8), dtype)).save(path)
    assert read_fitted(path, 4, 1, "crop").max() == 0


def test_cmyk(tmp_path):
    Image.new("CMYK", (64, 64), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    assert read_rgb(tmp_path / "a.jpg", 64, 64).mean((1, 2)).tolist() == pytest.approx([0, 255, 255], abs=2)


def test_an_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png", 64, 64), COLOURS.transpose(2, 0, 1))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("damage", [half, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"GIF89a")])
def test_damage_is_named(tmp_path, name, damage):
    Image.fromarray(COLOURS).save(tmp_path / name)
    damage(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: cannot be read as an image"):
        read_rgb(tmp_path / name, 64, 64)


def test_another_size_and_no_file(tmp_path):
    Image.new("RGB", (64, 32)).save(tmp_path / "a.PNG")
    assert images_in(tmp_path) == [tmp_path / "a.PNG"]
    assert image_size(tmp_path / "a.PNG") == (64, 32)
    with pytest.raises(InputError, match=r"a\.PNG: is 64×32, images of this set are 64×64"):
        read_rgb(tmp_path / "a.PNG", 64, 64)
    with pytest.raises(MissingFileError, match="none"):
        read_rgb(tmp_path / "none.png", 64, 64)


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_an_image_that_declares_too_many_pixels_is_refused(tmp_path, side):
    content = bytearray(png16(3))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    for read in (lambda path: read_fitted(path, 8, 3, "crop"), image_size):
        with pytest.raises(InputError, match=r"a\.png: .* exceeds limit of .* pixels"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("exif", [b"Exif\0\0no TIFF", b"Exif\0\0II*"])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_image_with_damaged_exif_data_is_read_as_it_is_stored(tmp_path, name, exif):
    Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / name, exif=exif)
    assert read_fitted(tmp_path / name, 8, 3, "crop").mean((1, 2)).tolist() == pytest.approx([200, 100, 50], abs=3)


def test_an_image_is_fitted_to_a_size_that_is_not_square(tmp_path):
    Image.fromarray(COLOURS[:40]).save(tmp_path / "a.png")
    for resize, expected in (("stretch", (32, 20)), ("crop", (32, 20))):
        pixels = read_fitted(tmp_path / "a.png", (20, 32), 3, resize)
        reference = np.asarray(Image.fromarray(COLOURS[:40]).resize(expected, Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(pixels, reference.transpose(2, 0, 1))
    with pytest.raises(InputError, match=r"a\.png: images are read with 1 channel \(grey\) or 3 \(RGB\), not with 2"):
        read_fitted(tmp_path / "a.png", 8, 2, "crop")
