from pathlib import Path

import numpy as np
import pytest
import torch
from writers import make_events, nmnist

from clif.data import DATASETS, DataOptions, create_loader, get_dataset
from clif.data import loader as loader_module
from clif.data.hold_out import validation_split
from clif.data.loader import read_split
from clif.errors import InputError, MissingFileError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DVSCIFAR10", "cifar10dvs"),
        ("dvscifar10-PT", "cifar10dvs"),
        ("DVSGesture", "dvs_gesture"),
        ("CIFAR10", "cifar10"),
        ("NMNIST", "nmnist"),
        ("Tiny_ImageNet", "tiny_imagenet"),
    ],
)
def test_names_in_any_case(name, expected):
    assert get_dataset(name).name == expected


def test_unknown_names_get_a_hint():
    with pytest.raises(InputError, match=r"did you mean .*cifar10"):
        get_dataset("cifar11")


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("digits", "images", "events")])
def test_missing_files_say_where_to_get_them(name, tmp_path):
    with pytest.raises(MissingFileError, match="http"):
        create_loader(name, tmp_path)
    with pytest.raises(InputError, match="needs its folder"):
        create_loader(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"T": 3.5}, r"T must be a whole number of at least 1, got 3\.5"),
        ({"T": "3"}, "T must be a whole number of at least 1, got '3'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": None}, "batch_size must be a whole number of at least 1, got None"),
        ({"limit": 0}, "limit must be a whole number of at least 1, got 0"),
        ({"limit": -1}, "limit must be a whole number of at least 1, got -1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"workers": -1}, "workers must be a whole number of at least 0, got -1"),
        ({"train": "test"}, "train must be True for the training set or False for the test set, got 'test'"),
        ({"val_split": -0.2}, r"the validation split must be between 0 and 1, got -0\.2"),
        ({"val_split": "0.2"}, r"the validation split must be between 0 and 1, got '0\.2'"),
        ({"options": {"image_size": 8}}, r"options must be a clif\.data\.DataOptions, got dict"),
        ({"augmentation": ["flip"]}, r"augmentation must be a text such as .*, got \['flip'\]"),
        ({"augmentation": "flip", "cutupmix_auto": True}, "cutupmix_auto is a complete augmentation; leave out augm"),
        ({"split_seed": 3, "options": DataOptions(split_seed=2)}, "split_seed is 3 and, in options, 2; give one of"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        create_loader("digits", **wrong)


def test_numbers_stand_for_the_parts():
    assert create_loader("digits", train=1, val_split=np.int64(0)).num_samples == 1437


def test_a_loader_resumes_in_the_middle_of_an_epoch():
    loader = create_loader("digits", batch_size=100)
    whole = list(loader.batches(3))
    rest = list(loader.batches(3, start=5))
    assert len(whole) == len(loader) == 15
    for (x, y), (x2, y2) in zip(whole[5:], rest, strict=True):
        torch.testing.assert_close(x, x2, rtol=0, atol=0)
        torch.testing.assert_close(y, y2)
    threaded = create_loader("digits", batch_size=100, workers=3)
    for (x, y), (x2, y2) in zip(whole, threaded.batches(3), strict=True):
        torch.testing.assert_close(x, x2, rtol=0, atol=0)
        torch.testing.assert_close(y, y2)


def test_every_sample_once_an_epoch_in_a_new_order():
    loader = create_loader("digits", batch_size=64, augment=False)
    first, second = (torch.cat([y for _, y in loader]) for _ in range(2))
    assert first.bincount().tolist() == second.bincount().tolist()
    assert (first != second).any()
    plain = create_loader("digits", train=False)
    np.testing.assert_array_equal(torch.cat([y for _, y in plain]), plain.labels)


def test_a_stratified_validation_split():
    options = {"val_split": 0.2, "augment": False, "shuffle": False, "batch_size": 2000}
    kept = create_loader("digits", **options)
    held_out = create_loader("digits", validation=True, **options)
    assert (kept.num_samples, held_out.num_samples) == (1149, 288)
    together = torch.cat([next(loader.batches(0))[0] for loader in (kept, held_out)]).flatten(1)
    everything = next(create_loader("digits", augment=False, batch_size=2000).batches(0))[0].flatten(1)
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, everything.tolist()))
    assert (kept.labels.bincount() / kept.num_samples - held_out.labels.bincount() / 288).abs().max() < 0.01


def test_the_seed_of_the_validation_split_may_be_in_the_options():
    held_out = [
        create_loader("digits", val_split=0.2, validation=True, **seed).chosen.tolist()
        for seed in ({}, {"split_seed": 3}, {"options": DataOptions(split_seed=3)})
    ]
    assert held_out[0] != held_out[1] == held_out[2]


def test_options_for_a_set_that_is_open_are_refused():
    digits = get_dataset("digits")
    for options in (DataOptions(image_size=16), DataOptions(in_channels=1)):
        with pytest.raises(InputError, match="has no effect on a Dataset that has its files; give it to open_dataset"):
            create_loader(digits, options=options)
    create_loader(digits, options=DataOptions(split_seed=3))


def test_strong_augmentation_gives_soft_labels(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        records = rng.integers(0, 256, (20, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / f"{name}.bin")
    loader = create_loader("cifar10", tmp_path, batch_size=16, cutupmix_auto=True)
    batches = list(loader.batches(0))
    assert [x.shape[0] for x, _ in batches] == [16] * 6 + [4]
    for x, y in batches:
        assert (x.dtype, y.dtype, y.shape[1]) == (torch.float32, torch.float32, 10)
        torch.testing.assert_close(y.sum(1), torch.ones(len(y)))
    assert any(((y > 0) & (y < 1)).any() for _, y in batches)
    resumed = next(loader.batches(0, start=3))
    torch.testing.assert_close(resumed[0], batches[3][0], rtol=0, atol=0)
    torch.testing.assert_close(resumed[1], batches[3][1], rtol=0, atol=0)


def test_sets_without_a_strong_augmentation_say_so():
    with pytest.raises(InputError, match="digits has no --cutupmix-auto"):
        create_loader("digits", cutupmix_auto=True)


def test_event_frames_keep_their_counts(tmp_path):
    folder = tmp_path / "Train" / "3"
    folder.mkdir(parents=True)
    events = make_events(1_000, 34)
    events["x"][:600], events["y"][:600], events["p"][:600] = 5, 6, 1
    (folder / "00001.bin").write_bytes(nmnist(events))
    (frames, labels), *_ = create_loader("nmnist", tmp_path, T=2, batch_size=4, allow_incomplete=True)
    assert (frames.shape, frames.dtype, labels.dtype) == ((2, 1, 2, 34, 34), torch.float32, torch.int64)
    assert frames.is_contiguous()
    assert frames[0, 0, 1, 6, 5] == 500
    assert frames.sum() == 1_000


def test_a_limit_takes_samples_from_the_whole_set():
    whole = create_loader("digits", train=False).labels
    assert create_loader("digits", train=False, limit=3).labels.tolist() == whole[[0, 180, 359]].tolist()
    assert create_loader("digits", train=False, limit=10_000).num_samples == len(whole)


def test_the_samples_that_are_chosen_are_not_copied(monkeypatch):
    arrays = read_split(get_dataset("digits"), Path(), True, 1)
    monkeypatch.setattr(loader_module, "read_split", lambda *_arguments: arrays)
    loader = create_loader("digits", val_split=0.2, validation=True, limit=7, batch_size=7)
    assert loader.images.data_ptr() == torch.from_numpy(arrays.images).data_ptr()
    _, held_out = validation_split(arrays.labels, 0.2, 0)
    chosen = held_out[np.linspace(0, len(held_out) - 1, 7).round().astype(int)]
    (_, labels), *others = loader
    assert labels.tolist() == arrays.labels[chosen].tolist()
    assert not others
