"""The scripts of examples/ run and print their results; the notebooks are complete and run."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clif.models import create_model
from clif.train.checkpoint import save_checkpoint

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(path.name for path in (EXAMPLES / "notebooks").glob("*.ipynb"))
INDEX = (EXAMPLES / "README.md").read_text("utf-8")

RUNS = {
    "ann_to_snn.py": ("--steps 2 --epochs 1", r"T = 2: [\d.]+% as converted, ([\d.]+)% after one epoch", 85),
    "compare_neurons.py": (
        "out --neurons LIF,ChannelLeakLIF --seeds 0,1",
        r"ChannelLeakLIF +([\d.]+)% on test digits \(.*\), p = [\d.]+ against LIF\nwritten: .*report\.html",
        50,
    ),
    "digits_by_row.py": ("--neurons PLIF --taus 2,8 --seeds 0 --epochs 2", r"PLIF  tau    8: ([\d.]+)% on test", 50),
    "moving_digits.py": ("out --per-class 60 --epochs 8", r"\n([\d.]+)% of the test recordings after 8 epochs", 40),
    "onnx_stream.py": ("-T 4 --epochs 2 --out a.onnx", r"e-0\d at most\nall 4 steps: ([\d.]+)% of 360 test", 80),
    "temporal_gradient.py": ("--taus 2 --epochs 1 --plot a.png", r"tau 2 CLIF trained  : later ([\d.]+)%", 25),
}
"""Short options of each script, a pattern in its output, and the minimum of the number in it."""


def test_the_index_names_every_script_and_notebook():
    listed = re.findall(r"^\| `([\w./]+)` \|", INDEX, re.MULTILINE)
    assert sorted(listed) == sorted([*SCRIPTS, *(f"notebooks/{name}" for name in NOTEBOOKS)])
    assert 6 <= len(SCRIPTS) <= 8
    assert NOTEBOOKS == ["deployment.ipynb", "first_steps.ipynb", "own_neuron.ipynb"]
    assert {*RUNS, "own_neuron.py", "follow_events.py"} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_begins_with_its_command_line(name):
    text = (EXAMPLES / name).read_text("utf-8")
    assert len(text.splitlines()) < 80
    first, _, lines = ast.get_docstring(ast.parse(text)).partition("\n\n")
    assert first.endswith(".")
    assert f"examples/{name}" in lines


def test_the_decision_on_a_recording_is_followed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = create_model("snn5_noAP", "CLIF", in_channels=2, T=2, image_size=16)
    save_checkpoint(tmp_path / "checkpoint_last.pth", {"net": net.state_dict(), "model": net.config})
    rng = np.random.default_rng(0)
    x, y, p = rng.integers(0, 16, 50), rng.integers(0, 16, 50), rng.integers(0, 2, 50)
    np.savez("one.npz", t=np.arange(50) * 1000, x=x, y=y, p=p)
    words = ["checkpoint_last.pth", "one.npz", "--events", "20", "--plot", "a.png"]
    monkeypatch.setattr(sys, "argv", ["follow_events.py", *words])
    runpy.run_path(str(EXAMPLES / "follow_events.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["19.0", "39.0", "49.0"]
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_script_runs(name, tmp_path):
    if name == "onnx_stream.py":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    options, expected, least = RUNS[name]
    line = [sys.executable, EXAMPLES / name, *options.split()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    found = re.search(expected, done.stdout)
    assert found, done.stdout
    assert float(found[1]) > least


@pytest.fixture
def nbformat():
    return pytest.importorskip("nbformat")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_whole(name, nbformat):
    path = EXAMPLES / "notebooks" / name
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    headings = [re.findall(r"^#+ ", cell.source, re.MULTILINE) for cell in notebook.cells if cell.cell_type != "code"]
    assert [heading for found in headings for heading in found].count("# ") == headings[0].count("# ") == 1
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    said = [output.text for output in outputs if output.get("name") == "stderr"]
    assert [text for text in said if not text.startswith("clif: compiling the kernels")] == []  # no warnings
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("assert " in cell.source for cell in code)
    assert path.stat().st_size < 200_000
    assert re.findall(r"[\"' ](?:/[a-z]\w+/|[A-Z]:\\)\S*", path.read_text("utf-8")) == []  # absolute paths


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name, nbformat, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    if name == "deployment.ipynb":
        pytest.importorskip("nir")
        pytest.importorskip("onnxscript")
    notebook = nbformat.read(EXAMPLES / "notebooks" / name, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
