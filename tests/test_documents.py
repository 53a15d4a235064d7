"""The examples of README.md and docs/ run unchanged."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from run_folders import write_pair

import clif
from clif.cli import command_parser, main
from clif.models import create_model
from clif.train.checkpoint import save_checkpoint

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("**/*.md")))]


def examples(path):
    """The Python examples of a document, in their order."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """A folder with the run `logs/RUN`, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs" / "RUN").mkdir(parents=True)
    net = create_model("snn5_noAP", "CLIF", T=1, image_size=16)
    save_checkpoint(tmp_path / "logs/RUN/checkpoint_best.pth", {"net": net.state_dict(), "model": net.config})
    return tmp_path


@pytest.mark.parametrize("seed", range(5))
def test_the_first_example_fires_and_learns(seed):
    torch.manual_seed(seed)
    there = {}
    exec(examples("README.md")[0], there)
    net, x, labels = there["net"], there["x"], there["labels"]
    hidden = net[1](net[0](x))
    clif.reset_net(net)
    for spikes in (hidden, there["spikes"]):
        assert set(spikes.unique().tolist()) == {0.0, 1.0}
        assert 0.01 < spikes.mean() < 0.5
    assert all(parameter.grad.norm() > 0.01 for parameter in net.parameters())

    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(net(x).mean(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clif.reset_net(net)
    assert loss < 0.95 * there["loss"]


def test_the_examples_of_the_readme_run(run_folder):
    pytest.importorskip("nir")
    pytest.importorskip("onnxscript")
    there = {}
    for example in examples("README.md"):
        exec(example, there)
    assert there["logits"].shape == (6, 8, 10)
    assert (run_folder / "network.nir").is_file()
    assert (run_folder / "network.onnx").is_file()


def test_the_example_of_a_stream_runs(run_folder):
    (example,) = examples("docs/deployment.md")
    there = {"clif": clif, "frames": torch.rand(3, 1, 3, 16, 16)}
    exec(example, there)
    assert there["stream"].steps == 3
    assert (run_folder / "stream.pt").is_file()


@pytest.mark.slow
def test_the_example_of_a_training_runs(run_folder):
    example, *_ = examples("docs/training.md")
    there = {}
    exec(example, there)
    assert there["result"].history[-1]["test_top1"] > 0.9
    assert there["result"].folder.resolve().is_relative_to(run_folder)


def test_the_example_of_a_neuron_of_one_s_own_runs(capsys):
    example, _ = examples("docs/neurons.md")
    there = {"__name__": "my_neurons"}
    exec(example, there)
    assert capsys.readouterr().out == "('cpu', '')\n"
    there["node"](there["x_seq"]).sum().backward()
    assert there["node"].k.grad.isfinite()


def test_the_example_of_layers_runs():
    (example,) = examples("docs/layers.md")
    there = {}
    exec(example, there)
    assert there["logits"].shape == (10, 8, 4)
    assert all(parameter.grad.isfinite().all() for parameter in there["net"].parameters())


def test_the_example_inside_spikingjelly_runs():
    pytest.importorskip("spikingjelly.activation_based.memopt", reason="no SpikingJelly 2.0", exc_type=ImportError)
    _, example = examples("docs/neurons.md")
    there = {}
    exec(example, there)
    assert [state.shape for state in there["states"]] == [(8, 32), (8, 32), (8, 10)]
    assert all(parameter.grad.isfinite().all() for parameter in there["net"].parameters())


def test_the_example_of_a_network_of_one_s_own_trains(own_code):
    _, example, *_ = examples("docs/training.md")
    own_code.write("my_net.py", example)
    line = "train digits -import my_net.py --model my_net --max-steps 30 -T 2 --quiet"
    assert main(line.split()) == 0
    (summary,) = own_code.folder.glob("logs/*/summary.json")
    assert json.loads(summary.read_text())["last"]["test_top1"] > 0.3


def test_the_examples_of_a_data_set_and_a_surrogate_of_one_s_own_train(own_code, monkeypatch):
    monkeypatch.setattr("clif.data.registry.DATASETS", dict(clif.data.DATASETS))
    monkeypatch.setattr("clif.surrogate.SURROGATES", dict(clif.surrogate.SURROGATES))
    for path, marker in (("docs/data.md", "register_dataset"), ("docs/training.md", "register_surrogate")):
        (example,) = [text for text in examples(path) if marker in text]
        own_code.write(f"{marker}.py", example)
    line = "-dataset stripes -surrogate gauss:2 -model snn5_noAP -T 2 -b 50 -epochs 2 -T_max 2 -lr 0.01 --quiet"
    assert main(["train", "-import", "register_dataset.py", "-import", "register_surrogate.py", *line.split()]) == 0
    (summary,) = own_code.folder.glob("logs/*/summary.json")
    assert json.loads(summary.read_text())["last"]["test_top1"] > 0.9


def test_the_examples_of_own_names_train(own_code):
    (example,) = [text for text in examples("docs/training.md") if "register_loss" in text]
    own_code.write("my_training.py", example)
    line = "train digits -import my_training.py --loss last_step --opt Adagrad --lr-scheduler Exponential --gamma 0.9"
    assert main([*line.split(), "--max-steps", "30", "-T", "2", "--quiet"]) == 0
    (summary,) = own_code.folder.glob("logs/*/summary.json")
    assert json.loads(summary.read_text())["last"]["train_loss"] > 0


def test_the_example_of_own_objects_trains(run_folder):
    *_, example = examples("docs/training.md")
    there = {}
    exec(example, there)
    assert there["result"].history[-1]["val_top1"] > 0.8
    assert there["result"].folder.resolve().is_relative_to(run_folder)


def test_the_examples_of_networks_of_one_s_own_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    there = {}
    for example in examples("docs/own_networks.md"):
        exec(example, there)
    assert there["logits"].shape == (6, 4, 10)
    assert torch.equal(there["again"](x := torch.rand(2, 1, 8, 8)), there["wrapped"].eval()(x))
    assert capsys.readouterr().out.startswith("1: ReLU -> CLIFNode")
    assert there["snn"](torch.rand(2, 1, 8, 8)).shape == (6, 2, 10)


def test_the_example_of_own_recordings_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = [text for text in examples("docs/data.md") if "gestures" in text]
    exec(example, {})
    line = "-dataset events -data_dir gestures -sensor_size 64x48 -image_size 16 -resize stretch -T 4 -b 16 -epochs 3"
    assert main(["train", *line.split(), "-model", "snn5_noAP", "-lr", "0.02", "-amp", "False", "--quiet"]) == 0
    (summary,) = tmp_path.glob("logs/*/summary.json")
    assert json.loads(summary.read_text())["last"]["test_top1"] > 0.9


def test_the_examples_of_looking_inside_run(capsys):
    there = {}
    for example in examples("docs/analysis.md"):
        exec(example, there)
    assert capsys.readouterr().out.startswith("tensor([")
    assert len(there["found"].figure().axes) == 3


def test_the_example_of_a_report_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "logs", seeds=(0,))
    (example,) = examples("docs/reports.md")
    exec(example, {})
    assert "<h1>My runs</h1>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_example_compiles(path):
    for example in examples(path):
        compile(example, path, "exec")


def command_lines():
    """The command lines of the program in README.md and docs/, without comments."""
    for path in DOCUMENTS:
        text = (ROOT / path).read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            lines = () if language else block.replace("\\\n", "").splitlines()
            yield from (shlex.split(line, comments=True) for line in lines if line.startswith("clif "))


@pytest.mark.parametrize("words", list(command_lines()), ids=" ".join)
def test_every_command_line_is_understood(words):
    _, command, *rest = words
    if "--help" not in rest:
        command_parser(command).parse(rest)


def test_the_example_of_energies_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = examples("docs/energy.md")
    there = {}
    exec(example, there)
    assert "| total | LIF |" in capsys.readouterr().out
    assert (tmp_path / "table.csv").read_text().startswith("layer,network,kind,rate,SOPs")
