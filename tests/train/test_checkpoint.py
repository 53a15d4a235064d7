"""Checkpoints: complete or absent, clif's and the original's, and nothing in them is executed."""

import io
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import clif
from clif.errors import InputError, MissingFileError
from clif.models import create_model
from clif.train.checkpoint import read_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    net = create_model("snn5_noAP", "CLIF", num_classes=7, in_channels=2, T=3, tau=1.5, surrogate="sigmoid")
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 1, 2)
            torch.nn.init.uniform_(module.running_var, 0.3, 0.6)
    return net.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def ours(net, tmp_path) -> Path:
    path = tmp_path / "checkpoint_last.pth"
    save_checkpoint(path, {"net": net.state_dict(), "model": net.config, "epoch": 0, "max_test_acc": 0.5})
    return path


@pytest.fixture
def originals(net, tmp_path) -> Path:
    """A checkpoint in the original's form, with its accuracy as a numpy scalar."""
    path = tmp_path / "checkpoint_max.pth"
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    content = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict()}
    torch.save({**content, "epoch": 4, "max_test_acc": np.float64(0.875)}, path)
    return path


class Hostile:
    """Creates the file `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writes", [0, 1, 5])
def test_a_keyboard_interrupt_in_the_middle_of_a_checkpoint_is_one(ours, net, monkeypatch, writes):
    class Interrupted(io.BytesIO):
        left = writes

        def write(self, data):
            self.left -= 1
            if self.left == -1:
                raise KeyboardInterrupt
            return super().write(data)

    before = ours.read_bytes()
    monkeypatch.setattr("clif.train.checkpoint.write_atomically", lambda _path, write: write(Interrupted()))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(ours, {"net": net.state_dict()})
    assert ours.read_bytes() == before


def test_a_checkpoint_is_a_regular_file(ours):
    assert ours.is_file()
    assert not ours.is_symlink()


def test_content_that_cannot_be_saved_keeps_the_old_checkpoint(ours, monkeypatch):
    before = ours.read_bytes()

    def fail(*_arguments):
        raise RuntimeError("PytorchStreamWriter failed")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(InputError, match="could not be written"):
        save_checkpoint(ours, {"net": {}})
    assert ours.read_bytes() == before


def test_a_folder_that_cannot_exist_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        save_checkpoint(tmp_path / "file" / "checkpoint_last.pth", {"net": {}})


def test_ours_comes_back_as_the_network_it_was(ours, net, images):
    loaded = clif.load(ours)
    assert loaded.config == net.config
    assert not loaded.training
    assert loaded.step_mode == "m"
    logits = net(images)
    assert not torch.equal(logits[0], logits[1])
    assert_close(loaded(images), logits, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_a_string(ours, kind):
    assert clif.load(kind(ours)).T == 3


def test_an_original_checkpoint_with_a_numpy_accuracy_loads(originals, net, images):
    loaded = clif.load(originals, model="snn5_noAP", neuron="clif", T=3, tau=1.5, surrogate="sigmoid")
    assert loaded.config == net.config
    assert_close(loaded(images), net(images), rtol=0, atol=0)
    assert read_checkpoint(originals)["max_test_acc"] == 0.875


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.int64(3), np.bool_(True), np.float16(0.5), torch.tensor(0.5), 0.5, None, "0.5"]
)
def test_plain_and_numpy_values_are_read(net, tmp_path, value):
    torch.save({"net": net.state_dict(), "max_test_acc": value}, tmp_path / "c.pth")
    assert read_checkpoint(tmp_path / "c.pth")["max_test_acc"] == value


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_save_load(net, tmp_path, zipped):
    path = tmp_path / "c.pth"
    content = {"net": net.state_dict(), "model": net.config, "max_test_acc": np.float64(0.5)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert clif.load(path).config == net.config


@pytest.mark.parametrize("given", [{}, {"model": "snn5_noAP"}, {"neuron": "CLIF"}])
def test_an_original_checkpoint_needs_model_and_neuron(originals, given):
    with pytest.raises(InputError, match=r'checkpoint_max\.pth.*model="spiking_resnet18", neuron="CLIF"'):
        clif.load(originals, **given)


@pytest.mark.parametrize("place", ["beside", "in the state dict", "instead"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_checkpoint_is_refused_and_executes_nothing(net, tmp_path, place, zipped):
    path, made = tmp_path / "c.pth", tmp_path / "executed"
    hostile = Hostile(made)
    content = {
        "beside": {"net": net.state_dict(), "model": net.config, "extra": hostile},
        "in the state dict": {"net": {"features.0.fwd.0.weight": hostile}},
        "instead": hostile,
    }[place]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"c\.pth: refused"):
        clif.load(path, model="snn5_noAP", neuron="CLIF")
    assert not made.exists()


def test_a_hostile_bare_pickle_is_refused_and_executes_nothing(tmp_path):
    path, made = tmp_path / "c.pth", tmp_path / "executed"
    path.write_bytes(pickle.dumps({"net": Hostile(made)}, protocol=2))
    with pytest.raises(InputError, match=r"c\.pth"):
        clif.load(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists()


@pytest.mark.parametrize("share", [0, 1e-6, 0.001, 0.3, 0.7, 0.99, 0.9999])
def test_a_truncated_file_is_refused_by_name(ours, share):
    content = ours.read_bytes()
    ours.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"checkpoint_last\.pth"):
        clif.load(ours)


@pytest.mark.parametrize("content", [b"", b"\x00", b"hello, world\n" * 99, b"PK\x03\x04" + bytes(99), b"\x80\x02."])
def test_a_foreign_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.pth"):
        clif.load(path)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}}, {"net": 3}, {}, torch.zeros(3)])
def test_a_checkpoint_of_another_program_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(InputError, match="no state dict under 'net'"):
        clif.load(tmp_path / "c.pth")


def test_the_error_for_keys_of_any_kind_is_one_short_line(tmp_path):
    torch.save({torch.zeros(1000): 1, "a\nb" * 1000: 2}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"or another usual key\) but tensor\(") as error:
        clif.load(tmp_path / "c.pth")
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("weights", [{}, {"a": 3}, {"a": torch.zeros(3)}, {"a": torch.zeros(3, 4)}])
def test_weights_of_no_classifier_are_refused(tmp_path, weights):
    torch.save({"net": weights}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="not the weights of a convolutional classifier"):
        clif.load(tmp_path / "c.pth", model="snn5_noAP", neuron="CLIF")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"no checkpoint at .*none\.pth"):
        clif.load(tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["digits", "DIGITS", "Pretrained:digits"])
def test_a_missing_file_with_the_name_of_weights_of_the_package_is_explained(name):
    with pytest.raises(MissingFileError, match=f"no checkpoint at {name}; the weights .* are pretrained:digits$"):
        clif.load(name)


@pytest.mark.parametrize("content", [b"", b"epoch,loss\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b'{"a": 1}', b"\0" * 99])
def test_a_file_of_another_kind_is_no_checkpoint(tmp_path, content):
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.pth: not a checkpoint, which is a file of torch\.save or a safetensors"):
        clif.load(tmp_path / "c.pth")


def test_a_folder_without_a_checkpoint_is_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint at"):
        clif.load(tmp_path)


def test_a_folder_with_another_checkpoint_names_it(net, tmp_path):
    folder = tmp_path / "deploy"
    save_checkpoint(folder / "checkpoint_lif.pth", {"net": net.state_dict(), "model": net.config})
    with pytest.raises(MissingFileError, match=r"checkpoint_last\.pth; the folder has checkpoint_lif\.pth, which you"):
        clif.load(folder)


def test_a_run_folder_stands_for_its_best_checkpoint_else_its_last(ours, net, tmp_path):
    assert_close(clif.load(tmp_path).classifier.weight, net.classifier.weight)
    best = {key: value + 1 for key, value in net.state_dict().items()}
    save_checkpoint(tmp_path / "checkpoint_best.pth", {"net": best, "model": net.config})
    assert_close(clif.load(tmp_path).classifier.weight, net.classifier.weight + 1)
    assert_close(clif.load(ours).classifier.weight, net.classifier.weight)


def test_another_network_is_refused_with_the_first_key_that_differs(ours, net):
    keys = create_model("vggsnn", num_classes=7, in_channels=2).state_dict().keys()
    first = min(keys ^ net.state_dict().keys())
    with pytest.raises(InputError, match=rf"does not fit vggsnn with CLIF neurons: it lacks {first} \("):
        clif.load(ours, model="vggsnn")


def test_an_unknown_key_is_named(net, tmp_path):
    torch.save({"net": {**net.state_dict(), "zz": torch.zeros(1)}, "model": net.config}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"it has the unknown key zz \(1 keys differ\)"):
        clif.load(tmp_path / "c.pth")


def test_another_shape_is_refused_by_name(ours):
    with pytest.raises(InputError, match=r"classifier\.weight is \[7, 256\], the network has \[10, 256\]"):
        clif.load(ours, num_classes=10)


def test_a_weight_that_is_no_tensor_is_refused_by_name(net, tmp_path):
    torch.save({"net": {**net.state_dict(), "classifier.bias": 3}, "model": net.config}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"classifier\.bias is \[\]"):
        clif.load(tmp_path / "c.pth")


def test_a_key_that_is_no_string_is_refused(net, tmp_path):
    torch.save(
        {"net": {**net.state_dict(), 3: torch.zeros(1), "zz": torch.zeros(1)}, "model": net.config}, tmp_path / "c.pth"
    )
    with pytest.raises(InputError):
        clif.load(tmp_path / "c.pth")


@pytest.mark.parametrize("model", [3, "snn5_noAP", {"name": "snn5_noAP", "T": "many"}, {"neuron": "CLIF"}])
def test_a_damaged_description_of_the_network_is_refused(net, tmp_path, model):
    torch.save({"net": net.state_dict(), "model": model}, tmp_path / "c.pth")
    with pytest.raises(InputError):
        clif.load(tmp_path / "c.pth")


def test_an_error_in_a_model_of_one_s_own_is_no_damage(net, tmp_path, monkeypatch):
    monkeypatch.setattr("clif.models.registry._MODELS", dict(clif.models.registry._MODELS))
    clif.models.register_model("own_net")(lambda **_: 1 / 0)
    torch.save({"net": net.state_dict(), "model": {**net.config, "name": "own_net"}}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth: your model own_net raised ZeroDivisionError: division by zero"):
        clif.load(tmp_path / "c.pth")


@pytest.mark.parametrize("model", [{"name": "nothing"}, {"name": "snn5_noAP", "foo": 1}])
def test_an_unknown_network_or_option_in_the_description_is_refused(net, tmp_path, model):
    torch.save({"net": net.state_dict(), "model": model}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="unknown"):
        clif.load(tmp_path / "c.pth")


def test_arguments_replace_what_the_checkpoint_says(ours, net, images):
    assert clif.load(ours, T=4)(images).shape == (4, 2, 7)
    lif = clif.load(ours, neuron="lif")
    assert type(lif.features[0].act) is clif.LIFNode
    assert lif.config == {**net.config, "neuron": "LIF"}
    hard = clif.load(ours, neuron="LIF", v_reset=-0.06, tau=3.0)
    assert (hard.features[0].act.v_reset, hard.features[0].act.tau) == (-0.06, 3.0)
    assert not torch.equal(hard(images), lif(images))


def test_map_location_moves_the_network(ours):
    assert {p.device.type for p in clif.load(ours, map_location="cpu").parameters()} == {"cpu"}
    assert next(clif.load(ours, map_location="meta").parameters()).is_meta


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_an_input_error(ours):
    ours.chmod(0)
    with pytest.raises(InputError, match=r"checkpoint_last\.pth"):
        clif.load(ours)


def test_saving_over_a_folder_is_an_input_error_and_leaves_no_temporary_file(net, tmp_path):
    target = tmp_path / "checkpoint_best.pth"
    target.mkdir()
    (target / "something").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        save_checkpoint(target, {"net": net.state_dict()})
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint_best.pth"]
    shutil.rmtree(target)


def test_a_flipped_byte_in_the_middle_is_noticed(net, tmp_path):
    path = tmp_path / "c.pth"
    save_checkpoint(path, {"net": net.state_dict(), "model": net.config})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="differs from its checksum"):
        read_checkpoint(path)


@pytest.mark.parametrize("key", ["model", "config", "optimizer", "lr_scheduler", "history", "epoch"])
def test_a_part_of_another_type_is_named(net, tmp_path, key):
    torch.save({"net": net.state_dict(), key: "x"}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=f"'{key}' holds a str"):
        read_checkpoint(tmp_path / "c.pth")


def test_a_file_with_the_value_of_the_loss_is_read(net, tmp_path):
    torch.save({"net": net.state_dict(), "model": net.config, "loss": 0.25}, tmp_path / "c.pth")
    assert clif.load(tmp_path / "c.pth").T == net.T
