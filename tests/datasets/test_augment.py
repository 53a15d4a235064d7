import math

import numpy as np
import pytest
import torch
from torch import Generator

from clif.data import create_loader
from clif.data.augment import (
    Augmentation,
    Crop,
    CutOut,
    Flip,
    RandomErasing,
    draw_boxes,
    select,
)
from clif.data.augmentation_names import read_augmentation
from clif.data.mix import Mix, cutmix_box, one_hot
from clif.data.policy import AutoAugment, TrivialAugmentWide
from clif.data.warp import OneOf, Roll, Rotate, Shear
from clif.errors import InputError

N, C, H, W = 12, 3, 20, 26


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (N, C, H, W), generator=generator(1), dtype=torch.uint8)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def sample_bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The value between the pixels' centres; outside of the image everything is 0."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(len(image))
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < H and 0 <= column < W:
            value += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def warp_one(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Each output pixel, in pixels from the middle, times the matrix, looked up in the input."""
    result = np.zeros(image.shape)
    for row in range(H):
        for column in range(W):
            x, y = matrix @ (column + 0.5 - W / 2, row + 0.5 - H / 2)
            result[:, row, column] = sample_bilinear(image, x + W / 2 - 0.5, y + H / 2 - 0.5)
    return result


def test_crop(images):
    operation = Crop(4)
    dy, dx = operation.draw(N, H, W, generator())
    got = operation.apply(images, dy, dx)
    for i in range(N):
        padded = np.pad(images[i].numpy(), ((0, 0), (4, 4), (4, 4)))
        np.testing.assert_array_equal(got[i], padded[:, dy[i] : dy[i] + H, dx[i] : dx[i] + W])
    dy, dx = operation.draw(5_000, H, W, generator())
    assert dy.unique().tolist() == dx.unique().tolist() == list(range(9))


def test_flip(images):
    (flipped,) = Flip().draw(N, H, W, generator())
    got = Flip().apply(images, flipped)
    for i in range(N):
        np.testing.assert_array_equal(got[i], images[i].numpy()[:, :, ::-1] if flipped[i] else images[i])
    assert Flip().draw(5_000, H, W, generator())[0].float().mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("operation", [CutOut(0.5), CutOut(1.0, value=0)])
def test_cutout(images, operation):
    box, fill = operation.draw(N, H, W, generator())
    expected = images.numpy().copy()
    for i, (top, left, bottom, right) in enumerate(box.tolist()):
        expected[i, :, top:bottom, left:right] = fill[i]
    np.testing.assert_array_equal(operation.apply(images, box, fill), expected)
    hit = operation.draw(5_000, H, W, generator())[0].any(1)
    assert hit.float().mean() == pytest.approx(operation.chance, abs=0.03)


def test_boxes_have_the_area_and_aspect_of_the_paper():
    top, left, bottom, right = draw_boxes(5_000, 100, 100, generator()).double().T
    assert top.min() >= 0
    assert left.min() >= 0
    assert bottom.max() <= 100
    assert right.max() <= 100
    area = (bottom - top) * (right - left) / 100**2
    assert 0.017 < area.min() < 0.03
    assert 0.3 < area.max() <= 0.4
    aspect = (bottom - top) / (right - left)
    assert 0.35 < aspect.min() < 0.5
    assert 2.2 < aspect.max() < 2.7


def test_random_erasing(images):
    operation = RandomErasing(0.5)
    (box,) = operation.draw(N, H, W, generator())
    normal = images.float() - 100.5
    expected = normal.numpy().copy()
    for i, (top, left, bottom, right) in enumerate(box.tolist()):
        expected[i, :, top:bottom, left:right] = 0
    np.testing.assert_array_equal(operation.apply(normal, box), expected)
    top, left, bottom, right = operation.draw(5_000, 64, 64, generator())[0].double().T
    hit = bottom > top
    assert hit.float().mean() == pytest.approx(0.5, abs=0.03)
    assert (bottom.max(), right.max(), top.min(), left.min()) == (64, 64, 0, 0)
    area = ((bottom - top) * (right - left) / 64**2)[hit]
    assert area.mean() == pytest.approx(0.175, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8, torch.int16])
def test_rotate_turns_counter_clockwise_at_constant_size(images, dtype):
    operation = Rotate(15)
    (degrees,) = operation.draw(N, H, W, generator())
    assert degrees.abs().max() <= 15
    got = operation.apply(images.to(dtype), degrees)
    assert (got.shape, got.dtype) == (images.shape, dtype)
    for i in range(3):
        angle = math.radians(degrees[i])
        matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        tolerance = {torch.float32: 1e-2, torch.float16: 0.2}.get(dtype, 0.51)
        np.testing.assert_allclose(got[i].float(), warp_one(images[i].numpy(), matrix), atol=tolerance)
    dot = torch.zeros(1, 1, 21, 21)
    dot[0, 0, 10, 18] = 1
    row, column = (operation.apply(dot, torch.tensor([30.0]))[0, 0]).argmax().item() // 21, 17
    assert row == 6, "a point to the right of the centre moves up"
    assert operation.apply(dot, torch.tensor([30.0]))[0, 0, row, column] > 0.3


def test_shear(images):
    operation = Shear(15)
    (degrees,) = operation.draw(N, H, W, generator())
    got = operation.apply(images.float(), degrees)
    for i in range(3):
        matrix = np.array([[1, math.tan(math.radians(degrees[i]))], [0, 1]])
        np.testing.assert_allclose(got[i], warp_one(images[i].numpy(), matrix), atol=1e-2)


def test_roll(images):
    operation = Roll(5)
    dy, dx = operation.draw(N, H, W, generator())
    got = operation.apply(images, dy, dx)
    for i in range(N):
        np.testing.assert_array_equal(got[i], np.roll(images[i].numpy(), (int(dy[i]), int(dx[i])), (1, 2)))
    dy, dx = operation.draw(5_000, H, W, generator())
    assert dy.unique().tolist() == dx.unique().tolist() == list(range(-5, 6))


def test_one_of_applies_exactly_one(images):
    choices = (Roll(5), Rotate(15), CutOut(1.0, value=0))
    operation = OneOf(choices)
    draws = operation.draw(N, H, W, generator())
    got = operation.apply(images, *draws)
    choice, *parts = draws
    assert choice.unique().tolist() == [0, 1, 2]
    for i, number in enumerate(choice.tolist()):
        alone = choices[number].apply(images[i : i + 1], *(column[i : i + 1] for column in parts[number]))
        torch.testing.assert_close(got[i], alone[0])
        single = operation.apply(images[i : i + 1], *select(draws, torch.tensor([i])))
        torch.testing.assert_close(single, alone)


def test_an_augmentation_depends_on_the_sample_only(images):
    augmentation = Augmentation(
        stored=(Crop(4), OneOf((Roll(3), Rotate(15))), Flip()), normalised=(RandomErasing(0.5),)
    )
    draws = augmentation.draw(N, H, W, generator())
    everything = torch.arange(N)
    whole = augmentation.apply_normalised(
        augmentation.apply_stored(images, draws, everything).float(), draws, everything
    )
    for index in (torch.tensor([7, 2]), torch.tensor([2])):
        part = augmentation.apply_stored(images[index], draws, index).float()
        torch.testing.assert_close(augmentation.apply_normalised(part, draws, index), whole[index])


def test_mix_draws_both_kinds_with_their_betas():
    draws = Mix(0.2, 1.0).draw(20_000, generator())
    cutmix, share = draws[:, 0].bool(), draws[:, 1]
    assert cutmix.double().mean() == pytest.approx(0.5, abs=0.02)
    assert share[cutmix].var() == pytest.approx(1 / 12, rel=0.05)
    assert share[~cutmix].var() == pytest.approx(0.25 / 1.4, rel=0.05)
    assert (draws[:, 2:].min(), draws[:, 2:].max()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))
    torch.testing.assert_close(draws, Mix(0.2, 1.0).draw(20_000, generator()))


def test_mixup(images):
    labels = one_hot(torch.arange(N) % 5, 5)
    mixed, soft = Mix().apply(images.float(), labels, torch.tensor([0, 0.3, 0, 0]))
    for i in range(N):
        np.testing.assert_allclose(mixed[i], 0.3 * images[i].numpy() + 0.7 * images[i - 1].numpy(), rtol=1e-5)
        np.testing.assert_allclose(soft[i], 0.3 * labels[i].numpy() + 0.7 * labels[i - 1].numpy(), rtol=1e-5)


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.0, 0.99), (0.9, 0.1)])
def test_cutmix_labels_follow_the_pixels(centre):
    rows = torch.arange(N, dtype=torch.float32)[:, None, None, None, None].expand(N, 2, 2, H, W)
    mixed, soft = Mix().apply(rows, one_hot(torch.arange(N), N), torch.tensor([1, 0.4, *centre]))
    for i in range(N):
        own = (mixed[i] == i).double().mean().item()
        assert soft[i, i] == pytest.approx(own, abs=1e-6)
        assert soft[i, i - 1] == pytest.approx(1 - own, abs=1e-6)
    assert 0.4 <= own < 1
    torch.testing.assert_close(soft.sum(1), torch.ones(N))


def test_cutmix_box_of_nothing_and_of_everything():
    assert cutmix_box(H, W, 1.0, 0.5, 0.5) == (10, 13, 10, 13)
    assert cutmix_box(H, W, 0.0, 0.5, 0.5) == (0, 0, H, W)


@pytest.mark.parametrize(
    "operation",
    [
        Crop(4),
        Flip(),
        CutOut(),
        RandomErasing(),
        OneOf((Roll(5), Rotate(15), Shear(15), CutOut(1.0, value=0))),
        TrivialAugmentWide(),
        AutoAugment(),
    ],
)
def test_operations_stay_on_the_device_of_the_images(operation):
    """The meta device refuses, as a GPU does, to combine its tensors with those of the CPU."""
    draws = operation.draw(N, H, W, generator())
    moved = operation.apply(torch.zeros(N, C, H, W, dtype=torch.uint8, device="meta"), *draws)
    assert (moved.device.type, moved.shape) == ("meta", (N, C, H, W))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", Augmentation([], [])),
        ("crop", Augmentation([Crop(4)], [])),
        ("crop:2,flip", Augmentation([Crop(2), Flip()], [])),
        ("flip, cutout:0.25, crop:3", Augmentation([Flip(), CutOut(0.25), Crop(3)], [])),
        ("rotate:10,roll, shear:5", Augmentation([Rotate(10.0), Roll(5), Shear(5.0)], [])),
        ("erase:1,flip,cutout", Augmentation([Flip(), CutOut(0.5)], [RandomErasing(1.0)])),
    ],
)
def test_an_augmentation_is_named_by_its_operations(text, expected):
    assert read_augmentation(text) == expected


def test_of_events_cutout_leaves_none():
    assert read_augmentation("cutout:1,flip", events=True) == Augmentation([CutOut(1.0, value=0), Flip()], [])


@pytest.mark.parametrize(
    "text", ["crop:", "crop:x", "crop:0", "crop:2.5", "crop:-1", "cutout:2", "cutout:nan", "flip:1"]
)
def test_an_operation_with_a_number_that_makes_no_sense_is_refused(text):
    with pytest.raises(InputError, match=r"write crop:4, flip, cutout:0\.5, erase:0\.1, rotate:15, roll:5 or shear:15"):
        read_augmentation(text)


@pytest.mark.parametrize("text", ["cutuot", "crop:2,", "none,flip", " "])
def test_an_unknown_operation_is_refused(text):
    with pytest.raises(InputError, match="unknown augmentation"):
        read_augmentation(text)


def test_a_loader_takes_other_operations_than_the_data_set_s(tiny_cifar10):
    plain = create_loader("cifar10", tiny_cifar10, augment=False, batch_size=50)
    for text, same in (("none", True), ("flip", False)):
        other = create_loader("cifar10", tiny_cifar10, augmentation=text, batch_size=50)
        assert torch.equal(next(iter(plain))[0], next(iter(other))[0]) == same
