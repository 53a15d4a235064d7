"""Predictions for the user's files: read according to the data set, and computed step by step like the network."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import fails
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.data import Dataset, get_dataset
from clif.data.augment import normalise
from clif.data.events import integrate, read_nmnist
from clif.data.sample import read_sample
from clif.errors import InputError
from clif.export import to_safetensors
from clif.models import create_model
from clif.prediction import Prediction, predict_files
from clif.report.prediction import prediction_figure, save_figure

CIFAR10, NMNIST = get_dataset("cifar10"), get_dataset("nmnist")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(5)
    return create_model("snn7", T=3).eval()


@pytest.fixture
def checkpoint(net, tmp_path):
    to_safetensors(net, tmp_path / "net.safetensors", {"dataset": "cifar10"})
    return str(tmp_path / "net.safetensors")


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def nmnist_file(path, events=500):
    """Random events in N-MNIST's format: x, y, polarity and 23 bits of time, 40 bits per event."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 300_000, events))
    high = (rng.integers(0, 2, events) << 7) | (t >> 16)
    columns = (rng.integers(0, 34, events), rng.integers(0, 34, events), high, t >> 8 & 255, t & 255)
    path.write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())
    return path


def test_the_probabilities_are_those_of_the_mean_logits_so_far(net, picture):
    [prediction] = predict_files(net, CIFAR10, [picture])
    logits = net(read_sample(CIFAR10, picture, 3)[None])[:, 0].double()
    for t in range(3):
        assert_close(prediction.probabilities[t], logits[: t + 1].mean(0).softmax(-1))
    name, p = prediction.best()[0]
    assert CIFAR10.classes.index(name) == int(logits.mean(0).argmax())
    assert p == prediction.probabilities[-1].max()
    assert len(prediction.best(number=99)) == 10


def test_a_frozen_batch_norm_of_a_training_network_stays_frozen(picture):
    net = create_model("snn7", T=1).train()
    frozen = net.features[0].fwd[1].eval()
    predict_files(net, CIFAR10, [picture])
    assert net.training
    assert not frozen.training


def test_an_image_of_the_right_size_is_taken_as_it_is(picture):
    pixels = torch.from_numpy(np.asarray(Image.open(picture)).transpose(2, 0, 1).copy())
    expected = normalise(pixels[None], torch.tensor(CIFAR10.mean), torch.tensor(CIFAR10.std))[0]
    assert_close(read_sample(CIFAR10, picture, 3), expected)


@pytest.mark.parametrize(("mode", "size"), [("L", (64, 48)), ("RGBA", (20, 50)), ("P", (32, 33)), ("I;16", (40, 40))])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_images_of_any_size_and_mode_are_read(tmp_path, mode, size, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.new(mode, size).save(path)
    assert read_sample(CIFAR10, path, 3).shape == (3, 32, 32)


def test_the_centre_is_cut_out_and_turned_as_the_camera_says(tmp_path):
    pixels = np.zeros((32, 96, 3), dtype=np.uint8)
    pixels[:, 32:64, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90°
    for name, options in (("wide.png", {}), ("turned.png", {"exif": exif})):
        image = Image.fromarray(pixels if not options else pixels.transpose(1, 0, 2).copy())
        image.save(tmp_path / name, **options)
    wide, turned = (read_sample(CIFAR10, tmp_path / name, 3) for name in ("wide.png", "turned.png"))
    assert_close(wide[0], torch.full((32, 32), (1 - CIFAR10.mean[0]) / CIFAR10.std[0]), rtol=1e-5, atol=1e-5)
    assert_close(turned, wide)


def test_a_recording_is_shown_as_its_frames(tmp_path):
    torch.manual_seed(0)
    net = create_model("snn7", T=4, in_channels=2, image_size=34).eval()
    path = nmnist_file(tmp_path / "digit.bin")
    [prediction] = predict_files(net, NMNIST, [path])
    frames = torch.from_numpy(integrate(read_nmnist(path), 4, 34, 34)).float()
    assert_close(prediction.frames, frames)
    assert_close(prediction.probabilities[-1], net(frames[:, None])[:, 0].double().mean(0).softmax(-1))


def test_files_that_cannot_be_read_are_named(net, picture, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    nmnist_file(tmp_path / "digit.aedat")
    for dataset, name, message in (
        (CIFAR10, "text.png", r"text\.png: cannot be read as an image"),
        (CIFAR10, "absent.png", r"absent\.png: no such file"),
        (NMNIST, "digit.aedat", r"digit\.aedat: a recording of this set must be a \.bin or \.npz file"),
    ):
        with pytest.raises(InputError, match=message):
            predict_files(net, dataset, [picture, tmp_path / name] if dataset is CIFAR10 else [tmp_path / name])


def test_images_without_statistics_are_refused(net, picture, tmp_path, monkeypatch, capsys):
    unknown = replace(CIFAR10, mean=(), std=())
    with pytest.raises(InputError, match="mean and std of cifar10 are not known here; give the run folder"):
        predict_files(net, unknown, [picture])
    for name in unknown.classes:
        (tmp_path / "data" / name).mkdir(parents=True)
        for copy in "ab":
            shutil.copy(picture, tmp_path / "data" / name / f"{copy}.png")
    torch.save(net.state_dict(), tmp_path / "bare.pth")
    monkeypatch.chdir(tmp_path)
    line = ["predict", "bare.pth", str(picture), "--dataset", "images", "--model", "snn7", "--neuron", "LIF", "-T", "1"]
    assert "mean and std of images are not known" in fails(capsys, *line)


def test_the_command_prints_a_line_a_step_and_draws(checkpoint, picture, tmp_path, capsys):
    out = tmp_path / "out.svg"
    assert main(["predict", checkpoint, str(picture), str(picture), "--top", "2", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith(f"{picture}: ")
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["step 1", "step 2", "step 3"]
    assert all(line.count("%") == 2 for line in lines[1:4])
    assert b"<svg" in out.read_bytes()


def test_the_picture_shows_names_as_they_are(tmp_path):
    """Matplotlib reads text between dollars as a formula, and leaves labels out of a legend that begin with _."""
    classes = ("$5_$", "_other")
    dataset = Dataset("images", classes, 3, 8, mean=(0.5,) * 3, std=(0.5,) * 3)
    prediction = Prediction(tmp_path / "$1_$.png", classes, torch.full((2, 2), 0.5), torch.zeros(2, 3, 8, 8))
    figure = prediction_figure(dataset, [prediction])
    save_figure(figure, tmp_path / "out.svg")
    assert figure.axes[0].get_title(loc="left") == "$1_$.png"
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == set(classes)


def test_the_command_prints_json(checkpoint, picture, capsys, net):
    assert main(["predict", checkpoint, str(picture), "--json", "-T", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    [prediction] = predict_files(clif.load(checkpoint, T=2), CIFAR10, [picture])
    assert found["class"] == prediction.best()[0][0]
    assert [list(row) for row in found["probabilities"]] == [list(CIFAR10.classes)] * 2
    assert_close([list(row.values()) for row in found["probabilities"]], prediction.probabilities.tolist())
    assert net.T == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "-dataset cifar100 --top 50",
            "the network has 10 classes, the data set cifar100 has 100; give the data set of",
        ),
        ("--sort-events", "cifar10 has images instead of events; leave out --sort-events"),
        ("--columns x,y,t,p", "columns has no effect on the data set cifar10; leave it out"),
        ("--time-unit ms", "time_unit has no effect"),
    ],
)
def test_options_that_do_not_fit_the_network_are_refused(checkpoint, picture, words, message, capsys):
    assert message in fails(capsys, "predict", checkpoint, picture, *words.split())


@pytest.mark.parametrize("words", [["--top", "0"], ["--out", "x.txt"]])
def test_options_that_make_no_sense_are_refused(checkpoint, picture, words, capsys):
    assert main(["predict", checkpoint, str(picture), *words]) == 2
    assert "clif: error: " in capsys.readouterr().err


def test_an_image_is_fitted_to_a_data_set_that_is_not_square(picture):
    wide = Dataset("mine", ("a", "b"), 3, (20, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    assert read_sample(wide, picture, 3).shape == (3, 20, 32)
