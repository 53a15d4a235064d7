"""A device that is unknown, or missing on this machine, is refused in one line."""

import pytest
import torch

import clif
from clif import devices
from clif.cli import main
from clif.data import create_loader
from clif.deploy import deploy_checkpoint
from clif.devices import choose_device, find_device
from clif.errors import InputError
from clif.models import create_model
from clif.train import fit, resolve
from clif.trained_network import evaluate_checkpoint

NAMES = "mps mps:0 xpu meta vulkan hpu xla ipu mtia privateuseone maia lazy opengl opencl ideep mkldnn fpga ve hip"
UNKNOWN = ("npu", "nonsense", "", "CUDA", "gpu", "0", "cuda:x", "cuda:-1", "cpu:-1", "auto ", "cuda:99999999999")


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_device_that_clif_does_not_compute_on_is_refused(name):
    with pytest.raises(InputError, match=f"not on '{name}'; use --device cpu, cuda or cuda:N"):
        choose_device(name)


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_device_is_refused(name):
    for function in (choose_device, find_device):
        with pytest.raises(InputError, match="unknown device"):
            function(name)


@pytest.mark.parametrize("name", ["xpu", "hpu", "privateuseone", "vulkan", "cuda", "cuda:7"])
@pytest.mark.usefixtures("without_gpu")
def test_a_device_that_is_not_here_is_refused(name):
    with pytest.raises(InputError, match=f"no device '{name}' here"):
        find_device(name)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cpu:3"])
def test_a_cpu_is_a_cpu(name):
    assert choose_device(name) == find_device(name) == torch.device("cpu")


@pytest.mark.usefixtures("without_gpu")
def test_auto_is_the_cpu_without_a_gpu():
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "xpu"])
def test_python_s_doors_refuse_a_device_that_is_not_here(device, tmp_path):
    net = create_model("snn5_noAP", T=1)
    path = tmp_path / "c.pth"
    torch.save({"net": net.state_dict(), "model": net.config, "config": {"dataset": "digits"}}, path)
    doors = (
        lambda: fit(resolve("digits", device=device, out_dir=str(tmp_path / "logs"))),
        lambda: create_loader("digits", device=device),
        lambda: create_loader("cifar10", root=tmp_path / "nowhere", device=torch.device(device)),
        lambda: clif.load(path, map_location=device),
        lambda: clif.load(tmp_path / "nowhere.pth", map_location=torch.device(device)),
        lambda: evaluate_checkpoint(path, {"device": device}),
        lambda: deploy_checkpoint(path, {"device": device}),
    )
    for door in doors:
        with pytest.raises(InputError, match=f"'{device}'"):
            door()
    assert [p.name for p in tmp_path.iterdir()] == ["c.pth"]


@pytest.mark.parametrize("command", ["train digits", "eval C", "deploy C", "energy C"])
def test_a_device_is_one_line_and_exit_code_2(command, tmp_path, capsys):
    net = create_model("snn5_noAP", T=1)
    path = tmp_path / "c.pth"
    torch.save({"net": net.state_dict(), "model": net.config, "config": {"dataset": "digits"}}, path)
    words = [str(path) if word == "C" else word for word in command.split()]
    assert main([*words, "-device", "xpu"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("clif: error: ")
    assert error.count("\n") == 1


def test_the_processor_has_a_name(tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text("vendor_id\t: X\nmodel name\t: Some CPU @ 3 GHz\n")
    monkeypatch.setattr(devices, "CPUINFO", file)
    assert devices.processor_name() == "Some CPU @ 3 GHz"
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "none")
    assert devices.processor_name()
