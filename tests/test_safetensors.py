"""Safetensors files: files of clif and of other programs are read."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.errors import InputError
from clif.export import to_safetensors
from clif.models import create_model
from clif.safetensors import TYPES, read_safetensors, write_safetensors


@given(
    shapes=st.dictionaries(st.text(min_size=1, max_size=8), st.lists(st.integers(0, 4), max_size=3), max_size=4),
    dtype=st.sampled_from(sorted(TYPES)),
)
def test_tensors_come_back(tmp_path_factory, shapes, dtype):
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    shapes.pop("__metadata__", None)
    tensors = {name: (torch.rand(shape) * 100).to(TYPES[dtype]) for name, shape in shapes.items()}
    write_safetensors(path, tensors, {"a": [1, None, "ü"]})
    found, description = read_safetensors(path)
    assert description == {"a": [1, None, "ü"]}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert_close(found[name], tensor, rtol=0, atol=0)


def test_a_network_is_read_with_its_description(tmp_path):
    net = create_model("snn7", "PLIF", T=2, image_size=24).eval()
    to_safetensors(net, tmp_path / "net.safetensors", {"dataset": "cifar10", "data_dir": "/home/me", "name": "secret"})
    assert b"/home/me" not in (content := (tmp_path / "net.safetensors").read_bytes())
    assert b"secret" not in content
    found = clif.load(tmp_path / "net.safetensors")
    assert found.config == net.config
    assert_close(dict(found.state_dict()), dict(net.state_dict()), rtol=0, atol=0)


def test_a_file_without_the_extension_is_read(tmp_path):
    net = create_model("snn4", "CLIF", T=2)
    to_safetensors(net, tmp_path / "weights")
    assert clif.load(tmp_path / "weights").config == net.config


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_a_dtype_halves_the_file_and_leaves_norms_alone(tmp_path, dtype):
    net = create_model("snn7", T=2)
    to_safetensors(net, tmp_path / "whole")
    to_safetensors(net, tmp_path / "half", weight_dtype=dtype)
    assert (tmp_path / "half").stat().st_size < 0.51 * (tmp_path / "whole").stat().st_size
    found, _ = read_safetensors(tmp_path / "half")
    for name, value in net.state_dict().items():
        assert_close(found[name].to(value), value.to(dtype).to(value) if value.dim() > 1 else value, rtol=0, atol=0)


def test_int8_takes_a_quarter_and_is_read_as_float32(tmp_path):
    net = create_model("snn7", T=2).eval()
    to_safetensors(net, tmp_path / "whole")
    to_safetensors(net, tmp_path / "int8", weight_dtype=torch.int8)
    assert (tmp_path / "int8").stat().st_size < 0.26 * (tmp_path / "whole").stat().st_size
    found = clif.load(tmp_path / "int8").state_dict()
    assert found.keys() == net.state_dict().keys()
    for name, value in net.state_dict().items():
        if value.dim() > 1:
            step = value.abs().flatten(1).amax(1).view(-1, *[1] * (value.dim() - 1)) / 127
            assert ((found[name] - value).abs() <= 0.501 * step).all()
        else:
            assert_close(found[name], value, rtol=0, atol=0)


def test_int8_weights_that_are_written_again_do_not_change(tmp_path):
    to_safetensors(create_model("snn4", T=2), tmp_path / "first", weight_dtype=torch.int8)
    once = clif.load(tmp_path / "first")
    to_safetensors(once, tmp_path / "second", weight_dtype=torch.int8)
    twice = clif.load(tmp_path / "second")
    assert_close(dict(twice.state_dict()), dict(once.state_dict()), rtol=1e-6, atol=0)


def test_int8_weights_without_their_scales_are_refused(tmp_path):
    weights = {"a": torch.ones(2, 3, dtype=torch.int8), "b": torch.ones(2, 3)}
    for wrong in ({}, {"a.scale": torch.ones(3)}, {"a.scale": torch.ones(2).double()}):
        write_safetensors(tmp_path / "x", {**weights, **wrong}, {"int8": ["a"]})
        with pytest.raises(InputError, match="damaged"):
            read_safetensors(tmp_path / "x")
    write_safetensors(tmp_path / "x", {**weights, "b.scale": torch.ones(2)}, {"int8": ["b"]})
    with pytest.raises(InputError, match="int8 weights do not match their scales"):
        read_safetensors(tmp_path / "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_int8_refuses_weights_that_are_not_finite(tmp_path, value):
    net = create_model("snn4", T=2).double()
    with torch.no_grad():
        net.classifier.weight[0, 0] = value
    with pytest.raises(InputError, match=r"classifier\.weight has weights that are NaN, infinite or beyond float32"):
        to_safetensors(net, tmp_path / "net", weight_dtype=torch.int8)
    assert not (tmp_path / "net").exists()


def test_a_dtype_that_cannot_hold_the_weights_is_refused(tmp_path):
    net = create_model("snn7", T=2)
    with pytest.raises(
        InputError, match=r"must be None, torch\.float16, torch\.bfloat16 or torch\.int8, got torch\.float8"
    ):
        to_safetensors(net, tmp_path / "net", weight_dtype=torch.float8_e5m2)
    with torch.no_grad():
        next(p for p in net.parameters() if p.dim() > 1).view(-1)[0] = 1e6
    with pytest.raises(InputError, match=r"features\.0\.\S+ has weights beyond 65504"):
        to_safetensors(net, tmp_path / "net", weight_dtype=torch.float16)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(2, dtype=torch.complex64), "state is torch.complex64, torch.strided; clif writes dense tensors"),
        (torch.zeros(2, dtype=torch.float8_e4m3fn), "state is torch.float8_e4m3fn"),
        (torch.eye(2).to_sparse(), "state is torch.float32, torch.sparse_coo"),
        (torch.zeros(2, device="meta"), "state is a tensor without data"),
        ({"a": 1}, "state is a dict; a safetensors file holds tensors only"),
    ],
)
def test_a_state_that_the_format_does_not_have_is_refused_by_name(tmp_path, value, message):
    path = tmp_path / "net.safetensors"
    net = torch.nn.Linear(2, 2)
    net._register_state_dict_hook(lambda _module, state, *_: state.update(state=value))
    with pytest.raises(InputError, match=rf"net\.safetensors: {message}"):
        to_safetensors(net, path)
    assert not list(tmp_path.iterdir())


def test_a_description_that_json_does_not_have_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(InputError, match=r"net\.safetensors: its description of the network cannot be written as JSON"):
        to_safetensors(torch.nn.Linear(2, 2), path, config={"classes": {1, 2}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("description", ["[]", "3", "{", '"a"'])
def test_a_description_of_another_form_is_refused(tmp_path, description):
    path = tmp_path / "x.safetensors"
    head = json.dumps({"__metadata__": {"clif": description}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(InputError, match=r"x\.safetensors: not a safetensors file, or damaged"):
        read_safetensors(path)


@pytest.mark.parametrize(
    "entries",
    [
        {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"},
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "U8", "shape": [1], "data_offsets": [7, 8]},
        },
        *(
            {"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 8]}}
            for shape in ([2.0, 4], [True, 8], [-2, -4], "8", [8, [1]], None)
        ),
        *(
            {"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]}}
            for shape in ([0, 1 << 62, 8], [0, 1 << 70], [0] * 65)
        ),
        {"a": {"dtype": "U8", "shape": [10**4000] * 100, "data_offsets": [0, 8]}},
        *(
            {"a": {"dtype": "U8", "shape": [8], "data_offsets": place}}
            for place in ([8, 0], [-8, 0], [0, 9], [0], ["0", "8"], [0.0, 8.0], 8)
        ),
        *({"a": entry} for entry in (3, [], {}, {"dtype": ["U8"], "shape": [8], "data_offsets": [0, 8]})),
    ],
)
def test_places_and_shapes_that_mislead_are_refused(tmp_path, entries):
    """If tensors shared bytes, a small file could stand for any amount of memory."""
    head = json.dumps(entries).encode()
    (tmp_path / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    with pytest.raises(InputError, match=r"x\.safetensors: not a safetensors file, or damaged") as error:
        read_safetensors(tmp_path / "x.safetensors")
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("head", [b"[" * 50_000, b"1" * 5000, b"[]", b'{"__metadata__": 3}', b"\xff"])
def test_a_header_that_misleads_is_refused(tmp_path, head):
    (tmp_path / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(InputError, match=r"x\.safetensors: not a safetensors file, or damaged"):
        read_safetensors(tmp_path / "x.safetensors")


def test_the_command_keeps_float64(tmp_path):
    net = create_model("snn5_noAP", T=2, image_size=16).double()
    to_safetensors(net, tmp_path / "net.safetensors", {"dataset": "cifar10"})
    out = tmp_path / "again.safetensors"
    words = ["export", str(tmp_path / "net.safetensors"), "--format", "safetensors", "--out", str(out)]
    assert main(words) == 0
    assert_close(read_safetensors(out)[0]["classifier.weight"], net.state_dict()["classifier.weight"], rtol=0, atol=0)


def test_the_command_writes_weights_to_give_away(tmp_path, capsys):
    clif.train.fit(clif.train.resolve("digits", T=1, max_steps=1, amp=False, out_dir=str(tmp_path)), quiet=True)
    run = next(tmp_path.iterdir())
    out = tmp_path / "weights.safetensors"
    assert main(["export", str(run), "--format", "safetensors", "--weight-dtype", "bfloat16", "--out", str(out)]) == 0
    assert main(["eval", str(out)]) == 0
    assert "digits test" in capsys.readouterr().out
    assert main(["export", str(run), "--format", "safetensors", "--exact"]) == 2
    assert main(["export", str(run), "--format", "onnx", "--weight-dtype", "float16"]) == 2
    assert "--weight-dtype needs --format safetensors" in capsys.readouterr().err
