import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from clif.data.policy import AutoAugment, Kind, TrivialAugmentWide, operate

SIZE = 24


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Noise, smooth gradients, few grey levels and one flat image, uint8 [8, 3, 24, 24]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 3, SIZE, SIZE))
    ramp = np.broadcast_to(np.linspace(40, 200, SIZE), (3, 3, SIZE, SIZE)) + rng.integers(0, 9, (3, 3, 1, 1))
    levels = rng.integers(0, 3, (1, 3, SIZE, SIZE)) * 60 + 20
    flat = np.full((1, 3, SIZE, SIZE), 77)
    return torch.from_numpy(np.concatenate([noise, ramp, levels, flat]).astype(np.uint8))


def pillow(image: torch.Tensor, name: str, magnitude: float) -> np.ndarray:
    """The operation on one image, by Pillow's own functions."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    affine = {
        "ShearX": (1, magnitude, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, magnitude, 1, 0),
        "TranslateX": (1, 0, -int(magnitude), 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, -int(magnitude)),
    }
    enhance = {
        "Brightness": ImageEnhance.Brightness,
        "Color": ImageEnhance.Color,
        "Contrast": ImageEnhance.Contrast,
        "Sharpness": ImageEnhance.Sharpness,
    }
    if name in affine:
        picture = picture.transform(picture.size, Image.Transform.AFFINE, affine[name], Image.Resampling.BILINEAR)
    elif name == "Rotate":
        picture = picture.rotate(magnitude, Image.Resampling.BILINEAR)
    elif name in enhance:
        picture = enhance[name](picture).enhance(1 + magnitude)
    elif name == "Posterize":
        picture = ImageOps.posterize(picture, int(magnitude))
    elif name == "Solarize":
        picture = ImageOps.solarize(picture, magnitude)
    elif name != "Identity":
        picture = {"AutoContrast": ImageOps.autocontrast, "Equalize": ImageOps.equalize, "Invert": ImageOps.invert}[
            name
        ](picture)
    return np.asarray(picture).transpose(2, 0, 1)


MAGNITUDES = {
    "TranslateX": (-7.4, 3.0),
    "TranslateY": (-7.4, 3.0),
    "Posterize": (2.0, 7.0, 8.0),
    "Solarize": (0.0, 128.5, 255.0),
    "Brightness": (-0.99, -0.3, 0.4, 0.99),
    "Color": (-0.99, -0.3, 0.4, 0.99),
    "Contrast": (-0.99, -0.3, 0.4, 0.99),
    "Sharpness": (-0.99, -0.3, 0.4, 0.99),
}
EXACT = [name for name in Kind.__members__ if not name.startswith(("Shear", "Rotate"))]


@pytest.mark.parametrize("name", EXACT)
def test_equals_pillow(images, name):
    for magnitude in MAGNITUDES.get(name, (0.0,)):
        kind = torch.full((len(images),), Kind[name])
        got = operate(images, kind, torch.full((len(images),), magnitude))
        expected = np.stack([pillow(image, name, magnitude) for image in images])
        off_by_one = 1 if name in MAGNITUDES and name[0] in "BCS" and name != "Solarize" else 0
        np.testing.assert_allclose(got.int(), expected.astype(int), atol=off_by_one)
        assert (got.numpy() != expected).mean() < 0.01


@pytest.mark.parametrize(("name", "magnitude"), [("ShearX", 0.4), ("ShearX", -0.9), ("ShearY", 0.3), ("Rotate", 33.0)])
def test_warps_equal_pillow_away_from_the_edge(images, name, magnitude):
    """Pillow repeats the last pixel for half a pixel beyond the edge, but the batched warp fades to black."""
    kind = torch.full((len(images),), Kind[name])
    got = operate(images, kind, torch.full((len(images),), magnitude)).int().numpy()
    white = torch.full_like(images[:1], 255)
    inside = operate(white, kind[:1], torch.full((1,), magnitude)).numpy()[0] == 255
    expected = np.stack([pillow(image, name, magnitude) for image in images])
    assert inside.mean() > 0.4
    np.testing.assert_allclose(got[:, inside], expected[:, inside].astype(int), atol=1)
    outside = operate(white, kind[:1], torch.full((1,), magnitude)).numpy()[0] == 0
    assert (pillow(white[0], name, magnitude)[outside] == 0).mean() > 0.9


def test_each_image_gets_its_own_operation(images):
    kind = torch.tensor([14, 0, 10, 5, 9, 12, 1, 3])
    magnitude = torch.tensor([0.0, 0, 4, 20, 0.5, 0, 0.5, 2])
    together = operate(images, kind, magnitude)
    alone = [operate(images[i : i + 1], kind[i : i + 1], magnitude[i : i + 1])[0] for i in range(8)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_trivial_augment_draws_as_torchvision():
    kind, magnitude = TrivialAugmentWide().draw(20_000, 32, 32, torch.Generator().manual_seed(0))
    assert kind.unique().tolist() == list(range(14))
    assert (kind.bincount() / 20_000 - 1 / 14).abs().max() < 0.01
    limits = {"ShearX": 0.99, "TranslateY": 32, "Rotate": 135, "Color": 0.99}
    for name, limit in limits.items():
        drawn = magnitude[kind == Kind[name]]
        assert drawn.max() == pytest.approx(limit)
        assert drawn.min() == pytest.approx(-limit)
        assert len(drawn.abs().unique()) == 31
    assert magnitude[kind == Kind.Posterize].unique().tolist() == [2, 3, 4, 5, 6, 7, 8]
    solarize = magnitude[kind == Kind.Solarize].unique()
    assert (len(solarize), solarize.min(), solarize.max()) == (31, 0, 255)


def test_auto_augment_applies_two_steps_of_a_sub_policy():
    augment = AutoAugment()
    kind, magnitude = augment.draw(20_000, 64, 64, torch.Generator().manual_seed(0))
    assert kind.shape == magnitude.shape == (20_000, 2)
    first, second = kind[(kind[:, 0] == 14) & (kind[:, 1] > 0)].unique(dim=0).T.tolist()
    assert (first, second) == ([14], [13])
    assert magnitude[kind == Kind.Rotate].abs().unique().tolist() == pytest.approx([10, 80 / 3, 30])
    assert (kind == 0).all(1).float().mean() == pytest.approx(3.76 / 25, abs=0.01)
    assert magnitude[kind == Kind.Posterize].unique().tolist() == [4, 5, 6]
    images = torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8)
    assert augment.apply(images, kind[:16], magnitude[:16]).shape == images.shape
