"""`clif analyze` on digits: tables, pictures, numbers, and refusals."""

import json

import pytest
import torch

from clif.cli import main
from clif.models import create_model
from clif.names import ANALYSES
from clif.train.checkpoint import save_checkpoint

SMALL = ["-T", "2", "--images", "8", "-b", "8"]
OF_ONE = ("raster", "traces")


def small(analysis):
    return SMALL[:2] if analysis in OF_ONE else SMALL


def checkpoint(folder, neuron):
    torch.manual_seed(3)
    net = create_model("snn5_noAP", neuron, T=2)
    folder.mkdir(parents=True)
    content = {"net": net.state_dict(), "model": net.config, "config": {"dataset": "digits", "neuron": neuron}}
    save_checkpoint(folder / "checkpoint_best.pth", content)
    return str(folder)


@pytest.mark.parametrize("analysis", ANALYSES)
def test_untrained_networks_side_by_side(analysis, tmp_path, capsys):
    picture, numbers = tmp_path / "a.svg", tmp_path / "a.json"
    assert main(["analyze", analysis, *small(analysis), "--out", str(picture), "--json", str(numbers)]) == 0
    shown = capsys.readouterr().out
    names = ["CLIF, untrained", "LIF, untrained"]
    content = json.loads(numbers.read_text())
    if analysis in ("similarity", "gradient"):
        assert list(content) == [analysis]
    else:
        assert list(content) == names
    if analysis != "similarity":
        assert all(name in shown for name in names)
    if analysis != "traces":
        assert "features.4.act" in shown
    assert picture.read_text().startswith("<?xml")


def test_trained_networks_beside_untrained_ones(tmp_path, capsys):
    runs = [checkpoint(tmp_path / name, name) for name in ("CLIF", "LIF")]
    assert main(["analyze", "gradient", *runs, "--untrained", *SMALL[2:], "--json", str(tmp_path / "g.json")]) == 0
    networks = json.loads((tmp_path / "g.json").read_text())["gradient"]["networks"]
    assert list(networks) == ["CLIF", "CLIF, untrained", "LIF", "LIF, untrained"]
    assert networks["CLIF"] != networks["CLIF, untrained"]
    assert "LIF, untrained" in capsys.readouterr().out


def test_networks_of_one_neuron_are_told_apart_by_their_places(tmp_path, capsys):
    runs = [checkpoint(tmp_path / name, "CLIF") for name in ("first", "$x^$")]
    for analysis in ("rates", "similarity", "gradient"):
        assert main(["analyze", analysis, *runs, *SMALL[2:], "--out", str(tmp_path / "a.svg")]) == 0
        shown = capsys.readouterr().out
        if analysis != "similarity":
            assert "CLIF (first)" in shown
            assert "CLIF ($x^$)" in shown
        assert "CLIF ($x^$)" in (tmp_path / "a.svg").read_text()


def test_the_options_of_an_analysis(capsys):
    words = ["--layer", "features.0.act", "--neurons", "3,5", "--sample", "1", "--neuron", "PLIF"]
    assert main(["analyze", "traces", "-T", "3", *words]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [line[:3] for line in lines] == [["features.0.act", n, str(t)] for n in ("3", "5") for t in (1, 2, 3)]


def test_a_raster_of_one_layer(capsys):
    assert main(["analyze", "raster", "-T", "2", "--neuron", "LIF", "--layer", "features.1.act"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["LIF,", "layer", "features.1.act"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rate", "did you mean rates"),
        ("rates --layer x", "--layer is an option of clif analyze raster, traces"),
        ("raster --images 3", "--images is an option of clif analyze rates, channels"),
        ("rates --by step", "--by changes the figure only; add --out FILE"),
        ("histograms --state m", "--state changes the figure only; add --out FILE"),
        ("raster --layer x", "unknown spiking layer 'x'"),
        ("rates --images 0", "--images must be at least 1"),
        ("traces --neurons a", "whole numbers separated by commas"),
        ("similarity --neuron CLIF", "similarity needs two networks, got 1"),
        ("rates --untrained", "--untrained needs checkpoints"),
        ("rates x.pth --seed 3", "--seed has no effect on the weights of checkpoints"),
        ("rates x.pth --neuron CLIF,LIF", "with checkpoints, --neuron takes one name"),
        ("rates --neuron CLIFF", "did you mean CLIF"),
        ("rates x.pth", "no checkpoint at x.pth"),
        ("rates --out x.gif", "the picture must be a .png, .svg or .pdf file"),
        ("raster --sample 4000", "the test set has the images 0 to 359, got 4000"),
        ("rates --lr 3", "with no effect here"),
        ("", "arguments are required: ANALYSIS; see clif analyze --help"),
    ],
)
def test_a_mistake_is_one_line(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", *line.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
