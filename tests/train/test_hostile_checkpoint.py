"""Malicious checkpoints: nothing is executed, little memory is used, and one error names the file."""

import copy
import dataclasses
import functools
import io
import operator
import pickle
import zipfile

import numpy as np
import pytest
import torch
from misleading_pickles import Number, Objects

import clif
from clif.errors import InputError
from clif.models import create_model
from clif.safetensors import write_safetensors
from clif.train.checkpoint import read_checkpoint
from clif.trained_network import open_checkpoint


@pytest.fixture(scope="module")
def net():
    return create_model("snn5_noAP", "CLIF", num_classes=3, T=1, image_size=16).eval()


class Unfilled:
    def __reduce__(self):
        return np.ndarray, ((1 << 40,),)


@pytest.mark.parametrize("thing", [Objects(), Number(), Unfilled()])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_bytes_are_taken_as_addresses(tmp_path, thing, zipped):
    torch.save({"net": {"a": torch.zeros(2, 2)}, "x": thing}, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"c\.pth: refused"):
        read_checkpoint(tmp_path / "c.pth")


def test_numpy_values_can_be_saved_again(tmp_path):
    values = {"array": np.arange(6, dtype=">i4").reshape(2, 3), "number": np.float32(0.5)}
    for _ in range(2):
        torch.save({"net": {"a": torch.zeros(2, 2)}, **values}, tmp_path / "c.pth")
        content = read_checkpoint(tmp_path / "c.pth")
        np.testing.assert_array_equal(content["array"], values["array"])
        assert content["number"] == 0.5
        values = {key: content[key] for key in values}
    assert b"clif" not in pickle.dumps(values)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps, and its last checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    config = clif.train.resolve("digits", model="snn5_noAP", T=1, max_steps=2, amp=False, out_dir=str(folder))
    clif.train.fit(config, quiet=True)
    return config, read_checkpoint(next(folder.iterdir()))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("max_test_acc",), 10**400),
        (("optimizer", "state", 2, "momentum_buffer"), torch.zeros(5)),
        (("progress", "global_step"), "x"),
        (("lr_scheduler", "get_lr"), 3),
        (("lr_scheduler", "last_epoch"), "x"),
        (("epoch",), 10**400),
        (("epoch",), -(10**400)),
        (("progress", "step"), -1),
        *(
            pytest.param(place, value, marks=pytest.mark.slow)
            for place, value in [
                (("max_test_acc",), [1, 2]),
                (("history",), [1, 2]),
                (("rng", "cpu"), float("inf")),
                (("optimizer", "state", 2), 3.0),
                (("optimizer", "param_groups", 0, "params", 2), [[]]),
                (("progress", "samples", 0), float("nan")),
                (("progress", "guard", 0), 10**30),
                (("progress", "firing"), None),
            ]
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_state_of_the_training_is_named(run, tmp_path, place, value):
    config, content = run
    content = copy.deepcopy(content)
    *parents, last = place
    functools.reduce(operator.getitem, parents, content)[last] = value
    torch.save(content, tmp_path / "c.pth")
    again = dataclasses.replace(config, resume=str(tmp_path / "c.pth"), out_dir=str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"c\.pth"):
        clif.train.fit(again, quiet=True)


def test_an_option_that_is_none_is_as_if_it_were_not_said(run, tmp_path):
    config, content = run
    torch.save({**content, "config": {**content["config"], "loss_lambda": torch.zeros(2)}}, tmp_path / "c.pth")
    clif.train.fit(dataclasses.replace(config, resume=str(tmp_path / "c.pth"), out_dir=str(tmp_path)), quiet=True)
    with pytest.raises(InputError, match=r"c\.pth: loss_lambda must be a float"):
        open_checkpoint(tmp_path / "c.pth", {})


def repacked(content: bytes, method: int, twice: bool = False) -> bytes:
    """torch's archive with compressed parts, or with each part named twice."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(new, "w", method) as archive:
        for part in old.infolist():
            archive.writestr(part.filename, old.read(part))
        if twice:
            archive.filelist += [max(archive.filelist, key=lambda part: part.file_size)] * 50
    return new.getvalue()


@pytest.mark.parametrize("twice", [True, False])
def test_parts_that_unpack_to_more_than_the_file_holds_are_refused(tmp_path, twice):
    buffer = io.BytesIO()
    torch.save({"net": {"a": torch.zeros(1 << 16, 2)}}, buffer)
    packed = repacked(buffer.getvalue(), zipfile.ZIP_STORED if twice else zipfile.ZIP_DEFLATED, twice)
    (tmp_path / "c.pth").write_bytes(packed)
    with pytest.raises(InputError, match=r"c\.pth: refused: its parts unpack to more than its size"):
        read_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("sizes", [{"num_classes": 10**9}, {"in_channels": 10**10}, {"num_classes": 10**30}])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_described_network_that_is_larger_than_its_weights_is_refused(net, tmp_path, sizes, suffix):
    path, model = tmp_path / f"c{suffix}", {**net.config, **sizes}
    if suffix == ".pth":
        torch.save({"net": net.state_dict(), "model": model}, path)
    else:
        write_safetensors(path, net.state_dict(), {"model": model, "config": {}})
    with pytest.raises(InputError, match=rf"c\{suffix}: .* damaged"):
        clif.load(path)


def test_weights_that_repeat_one_value_are_no_large_network(tmp_path):
    weights = {"a.weight": torch.zeros(2, 3, 1, 1), "b.weight": torch.zeros(1).expand(10**9, 256)}
    torch.save({"net": weights}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth: contains .* weights, but its network has"):
        clif.load(tmp_path / "c.pth", model="snn5_noAP", neuron="CLIF")


@pytest.mark.parametrize("kind", [lambda value: value.to("meta"), lambda value: value.to_sparse()])
def test_weights_without_plain_values_are_refused(net, tmp_path, kind):
    weights = {key: kind(value) if value.dim() > 1 else value for key, value in net.state_dict().items()}
    torch.save({"net": weights, "model": net.config}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth: does not fit"):
        clif.load(tmp_path / "c.pth")


@pytest.mark.parametrize("key", ["model", "config", "data"])
def test_names_are_text(net, tmp_path, key):
    torch.save({"net": net.state_dict(), "model": net.config, key: {3: 4}}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=rf"c\.pth: damaged: '{key}' has a name that is not a string"):
        read_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize(
    "model",
    [
        *({"name": name} for name in ("nothing", "x" * 9000, ["snn5_noAP"])),
        *({"neuron": neuron} for neuron in ("nothing", 3, ["CLIF"])),
        *({"surrogate": name} for name in ("nothing", {"a": 1}, "rectangle:-1")),
        *({"T": T} for T in (0, -1, "x", 1.5, [3])),
        *({"image_size": size} for size in (0, -1, [1, 2, 3], 1.5, "x")),
        *({"drop_rate": rate} for rate in (2, "x", [0.1])),
        *({key: 3} for key in ("nothing", "layer_options", "pretrained")),
        *({"layer_options": options} for options in ({"a": {"v_reset": 0.0}}, {"features.0.act": 3}, {"": {}})),
        *({key: -1} for key in ("num_classes", "in_channels", "tau")),
    ],
)
def test_every_error_of_a_description_names_the_file_and_is_short(net, tmp_path, model):
    torch.save({"net": net.state_dict(), "model": {**net.config, **model}}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth") as error:
        clif.load(tmp_path / "c.pth")
    assert len(str(error.value)) < 2000
