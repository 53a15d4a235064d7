"""Pretrained weights: found, checked and loaded; also those in the package."""

import dataclasses
import hashlib
import json

import pytest
import torch
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.errors import InputError
from clif.export import to_safetensors
from clif.models import create_model, list_pretrained, pretrained
from clif.models.pretrained import Pretrained, find_pretrained, index_entry, pretrained_for
from clif.train.config import TrainConfig

LAYER_OPTIONS = {"features.0.act": {"v_subtract": 1.5}}
MOST_BYTES = 8 * 2**20


@pytest.fixture
def net():
    torch.manual_seed(3)
    return create_model("snn7", T=3, surrogate="triangle:0.5", image_size=32).eval()


@pytest.fixture
def shipped(net, tmp_path, monkeypatch):
    """A folder of weights that replaces the package's: a CLIF network for digits, and its conversion to LIF."""
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    to_safetensors(net, tmp_path / "small.safetensors", {"dataset": "digits", "b": 32})
    digest = hashlib.sha256((tmp_path / "small.safetensors").read_bytes()).hexdigest()
    described = ("small", "a test", "snn7", "CLIF", "digits", 3, 0.1, "digits", 0, "abc", "Apache-2.0")
    clif_entry = Pretrained(*described, "small.safetensors", digest)
    lif_entry = dataclasses.replace(clif_entry, name="small_lif", neuron="LIF", layer_options=LAYER_OPTIONS)
    entries = {one.name: index_entry(one) for one in (clif_entry, lif_entry)}
    (tmp_path / "index.json").write_text(json.dumps(entries))
    pretrained._index.cache_clear()
    yield tmp_path
    pretrained._index.cache_clear()


@pytest.mark.usefixtures("shipped")
def test_pretrained_weights_load_by_name(net):
    found = clif.load("pretrained:small")
    assert found.config == net.config
    assert not found.training
    x = torch.randn(2, 3, 32, 32)
    assert_close(found(x), net(x), rtol=0, atol=0)


@pytest.mark.usefixtures("shipped")
def test_a_conversion_has_the_same_weights_and_its_constants(net):
    found = clif.load("pretrained:small_lif")
    assert found.config["neuron"] == "LIF"
    assert found.features[0].act.v_subtract == 1.5
    assert_close(dict(found.state_dict()), dict(net.state_dict()), rtol=0, atol=0)


@pytest.mark.usefixtures("shipped")
def test_create_model_takes_the_weights_of_a_data_set(net):
    x = torch.randn(2, 3, 32, 32)
    found = create_model("snn7", pretrained="digits").eval()
    assert found.T == 3
    assert_close(found(x), net(x), rtol=0, atol=0)
    assert create_model("snn7", "LIF", pretrained="digits").features[0].act.v_subtract == 1.5
    assert create_model("snn7", pretrained="digits", T=5).T == 5


@pytest.mark.usefixtures("shipped")
def test_with_other_classes_the_last_layer_has_fresh_weights(net):
    found, trained = create_model("snn7", pretrained="digits", num_classes=7).state_dict(), net.state_dict()
    assert found["classifier.weight"].shape == (7, 256)
    for key, value in trained.items():
        if not key.startswith("classifier"):
            assert_close(found[key], value, rtol=0, atol=0)


@pytest.mark.usefixtures("shipped")
def test_weights_that_do_not_exist_or_fit_are_refused():
    with pytest.raises(InputError, match=r"no weights of snn7 for cifar10 .*digits with CLIF, digits with LIF"):
        create_model("snn7", pretrained="cifar10")
    with pytest.raises(InputError, match=r"no weights of snn5 .*included are: none"):
        create_model("snn5", pretrained="digits")
    with pytest.raises(InputError, match=r"the weights of snn7 for digits do not fit: .*features\.0"):
        create_model("snn7", pretrained="digits", in_channels=1)
    with pytest.raises(InputError, match=r"unknown pretrained weights 'smal'.*small"):
        clif.load("pretrained:smal")


def test_a_damaged_file_is_refused(shipped):
    path = shipped / "small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"small\.safetensors: damaged: its SHA-256 is"):
        clif.load("pretrained:small")
    path.unlink()
    with pytest.raises(InputError, match="the weights of small cannot be read: No such file"):
        clif.load("pretrained:small")


@pytest.mark.usefixtures("shipped")
def test_the_commands_take_pretrained_weights(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "pretrained:small", "-T", "1"]) == 0
    assert "snn7, CLIF, T=1" in capsys.readouterr().out
    assert main(["energy", "pretrained:small_lif", "--images", "8"]) == 0
    assert main(["export", "pretrained:small", "--format", "torch", "-T", "1"]) == 0
    assert (tmp_path / "network.pt2").is_file()
    assert main(["deploy", "pretrained:small", "--v-resets", "0", "-T", "1", "-b", "512"]) == 0
    assert (tmp_path / "deploy" / "checkpoint_lif.pth").is_file()
    capsys.readouterr()


def test_what_comes_with_the_package_is_whole():
    entries = list_pretrained()
    files = {one.path for one in entries}
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    for one in entries:
        net = clif.load(f"pretrained:{one.name}")
        assert (net.config["name"], net.config["neuron"], net.T) == (one.model, one.neuron, one.T)
        assert one.card.is_file()
        assert 0 < one.test_top1 <= 1
        assert pretrained_for(one.model, one.dataset, one.neuron) == find_pretrained(one.name) == one
        TrainConfig(**one.content()["config"]).check()


@pytest.mark.usefixtures("shipped")
def test_the_names_match_a_pattern():
    assert [one.name for one in list_pretrained("*_lif")] == ["small_lif"]
