"""Checkpoints of other programs: the weights are found under any names of wrappers."""

import argparse
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import original_checkpoint
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.testing import assert_close

import clif
from clif.cli import main
from clif.errors import InputError
from clif.models import create_model
from clif.train.checkpoint import read_checkpoint
from clif.train.loop import Trainer
from clif.train.weights import COUNTERS, fit_names

NAMED = {"model": "snn5_noAP", "neuron": "CLIF", "T": 2}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return create_model("snn5_noAP", "CLIF", T=2)


@pytest.fixture(scope="module")
def weights(net):
    return dict(net.state_dict())


def prefixed(weights, prefix):
    return {prefix + key: value for key, value in weights.items()}


def with_counters(weights):
    """Adds the entries of thop.profile."""
    layers = {"", *(key.rpartition(".")[0] + "." for key in weights), "features.", "features.0.fwd."}
    return {**weights, **{layer + c: torch.zeros(1, dtype=torch.float64) for layer in layers for c in COUNTERS}}


def averaged(weights):
    net = create_model("snn5_noAP", T=2)
    net.load_state_dict(weights)
    average = AveragedModel(net)
    average.update_parameters(net)
    return average.state_dict()


FORMS = {
    "bare": lambda w: w,
    "bare, DataParallel": lambda w: prefixed(w, "module."),
    "compiled": lambda w: {"net": prefixed(w, "_orig_mod.")},
    "compiled in DDP": lambda w: {"net": prefixed(w, "module._orig_mod.")},
    "DDP compiled": lambda w: {"net": prefixed(w, "_orig_mod.module.")},
    "a compiled part": lambda w: {"net": {k.replace("features.", "features._orig_mod."): v for k, v in w.items()}},
    "a parallel part": lambda w: {"net": {k.replace("features.", "features.module."): v for k, v in w.items()}},
    "thop": lambda w: {"net": with_counters(w), "epoch": 3},
    "thop, bare, DDP": lambda w: prefixed(with_counters(w), "module."),
    "state_dict": lambda w: {"epoch": 3, "arch": "x", "state_dict": prefixed(w, "module."), "best_acc1": 0.5},
    "model": lambda w: {"model": w, "args": argparse.Namespace(lr=0.1), "accuracies": np.zeros(3)},
    "model_state_dict": lambda w: {"model_state_dict": w, "optimizer_state_dict": {}},
    "Lightning": lambda w: {
        "state_dict": {**prefixed(w, "model."), "criterion.weight": torch.ones(10)},
        "pytorch-lightning_version": "2.4.0",
    },
    "Lightning, compiled": lambda w: {"state_dict": prefixed(w, "net._orig_mod.")},
    "ema": lambda w: {"ema": {"module": w, "updates": 3}},
    "model_ema": lambda w: {"model_ema": prefixed(w, "module.")},
    "AveragedModel": lambda w: averaged(w),
    "AveragedModel, ema": lambda w: {"ema": averaged(w), "epoch": 3},
    "ema-pytorch": lambda w: {
        **prefixed(w, "ema_model."),
        **prefixed({k: v + 1 for k, v in w.items()}, "online_model."),
        "initted": torch.tensor(True),
        "step": torch.tensor(3),
    },
    "Parameters": lambda w: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in w.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_in_every_form(weights, form, tmp_path, caplog):
    path = tmp_path / "c.pth"
    torch.save(FORMS[form](weights), path)
    loaded = clif.load(path, **NAMED)
    assert_close(dict(loaded.state_dict()), weights, rtol=0, atol=0)
    assert next(loaded.parameters()).dtype == torch.float32
    assert caplog.records == []


@pytest.mark.parametrize(("key", "average"), [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("net", "ema")])
def test_the_weights_are_taken_if_an_average_lies_beside_them_which_is_said(weights, key, average, tmp_path, caplog):
    torch.save({average: {k: v + 1 for k, v in weights.items()}, key: weights}, tmp_path / "c.pth")
    assert_close(dict(clif.load(tmp_path / "c.pth", **NAMED).state_dict()), weights, rtol=0, atol=0)
    assert f"is stored beside them under '{average}'; '{key}' is taken" in caplog.text


@given(st.lists(st.sampled_from(["module.", "_orig_mod."]), max_size=4), st.sampled_from(["", "model.", "net."]))
def test_any_nesting_of_wrappers_gives_the_network_s_names(net, wrappers, parent):
    own = {name: torch.zeros(1) for name in net.state_dict()}
    half = len(wrappers) // 2
    prefix = "".join([*wrappers[:half], parent, *wrappers[half:]])
    assert fit_names(with_counters(prefixed(own, prefix)), own).keys() == own.keys()


def test_names_that_a_network_itself_has_are_left_alone():
    own = {"module.model.weight": 1, "model.weight": 2, "model.total_ops": 3}
    assert fit_names(own, own) is own
    assert fit_names({**own, "x": 4}, own) == {**own, "x": 4}


def test_names_that_would_fall_together_are_not_merged(weights):
    both = {**weights, **prefixed(weights, "module.")}
    assert fit_names(both, weights) == both


@pytest.mark.parametrize("option", ["pre_train", "resume"])
def test_training_starts_from_the_weights_of_another_program(config, option, tmp_path):
    path = tmp_path / "c.pth"
    content = original_checkpoint(config(), path)
    content["model"] = prefixed(with_counters(content.pop("net")), "module.")
    torch.save(content, path)
    trainer = Trainer(config(epochs=9, **{option: str(path)}), quiet=True)
    for key, value in trainer.net.state_dict().items():
        assert torch.equal(value, content["model"][f"module.{key}"])
    assert trainer.epoch == (5 if option == "resume" else 0)


def test_a_bare_state_dict_cannot_be_resumed(train, weights, tmp_path):
    torch.save(weights, tmp_path / "c.pth")
    with pytest.raises(InputError, match="cannot be resumed, it has no 'optimizer'; --pre-train"):
        train(resume=str(tmp_path / "c.pth"))


def test_eval_takes_a_bare_state_dict(weights, tmp_path, capsys):
    torch.save(prefixed(weights, "module."), tmp_path / "c.pth")
    words = ["-resume", str(tmp_path / "c.pth"), "-dataset", "digits", "-model", "snn5_noAP", "-neuron", "CLIF"]
    assert main(["eval", *words, "-T", "1"]) == 0
    assert "digits test: top-1" in capsys.readouterr().out


def test_weights_of_another_network_are_refused_by_a_name_without_its_wrapper(tmp_path):
    torch.save(prefixed(create_model("snn5", T=2).state_dict(), "module."), tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"does not fit snn5_noAP with CLIF neurons: it .* features\."):
        clif.load(tmp_path / "c.pth", **NAMED)


def test_a_whole_network_is_refused_with_what_to_do(net, tmp_path):
    torch.save(net, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth: refused, .*torch\.save\(net\.state_dict\(\), path\)"):
        clif.load(tmp_path / "c.pth", **NAMED)


def test_other_content_is_refused_with_its_keys_and_what_to_do(tmp_path):
    torch.save({"shadow_params": [torch.zeros(3, 3)], "decay": 0.9}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"no state dict .* but shadow_params, decay; save one with torch\.save"):
        clif.load(tmp_path / "c.pth", **NAMED)


def safetensors(tensors):
    """A file of the safetensors library."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        raw = value.contiguous().numpy().tobytes()
        dtype = {torch.float32: "F32", torch.int64: "I64", torch.float16: "F16"}[value.dtype]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def file(weights, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(prefixed(weights, "module.")))
    return path


def test_a_safetensors_file_loads(weights, file):
    assert_close(dict(clif.load(file, **NAMED).state_dict()), weights, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0, 0.00001, 0.0001, 0.5, 0.9999])
def test_a_truncated_safetensors_file_is_refused_by_name(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"model\.safetensors: (not a safetensors file|not a checkpoint)"):
        read_checkpoint(file)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_safetensors_file_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.safetensors: "):
        read_checkpoint(path)


def test_a_checkpoint_that_cannot_be_read_is_an_input_error(weights, tmp_path, monkeypatch):
    path = tmp_path / "c.pth"
    torch.save(weights, path)

    def forbidden(*_arguments):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(path), "open", forbidden)
    with pytest.raises(InputError, match=r"c\.pth: the checkpoint cannot be read: Permission denied"):
        clif.load(path, **NAMED)
