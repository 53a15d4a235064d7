"""The examples of the tutorial and the how-to guides run; tables of defaults agree with the programs."""

import dataclasses
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import clif
from clif.train import TrainConfig

DOCS = Path(__file__).parents[1] / "docs"
SLOW = ("howto/compare_runs", "howto/deploy", "howto/own_neuron", "tutorial")
QUICK = (
    *("own_network", "spikingjelly", "snntorch", "own_images", "own_recordings", "several_gpus", "energy", "laptop"),
    *("../migration", "../reproducibility", "../reference/clif", "../index"),
)
PAGES = [
    *(f"howto/{name}" for name in QUICK),
    *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
]
NEEDS = {"howto/spikingjelly": "spikingjelly.activation_based.memopt", "howto/snntorch": "snntorch"}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("workplace")
def test_the_examples_of_the_page_run(page):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], exc_type=ImportError)
    if page == "howto/deploy":
        pytest.importorskip("nir")
        pytest.importorskip("onnxscript")
    there = {"__name__": "page"}
    for example in blocks(page):
        exec(example, there)
    if page == "tutorial":
        assert there["accuracy"] > 0.95
        assert min(there["rates"].values()) > 0.01
        assert max(there["rates"].values()) < 0.6
        assert there["scores"].top1 > 0.95


def test_every_guide_with_an_example_is_run():
    ours = {(DOCS / f"{page}.md").resolve() for page in (*(f"howto/{name}" for name in QUICK), *SLOW)}
    pages = {
        path.resolve() for path in [*DOCS.glob("howto/*.md"), DOCS / "tutorial.md"] if "```python" in path.read_text()
    }
    assert pages <= ours


def test_the_numbers_of_the_theory_are_those_of_its_script():
    spec = importlib.util.spec_from_file_location("theory", DOCS / "figures/theory.py")
    theory = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theory)
    shares = theory.gradients()
    assert [f"{shares[name][-1]:.1e}" for name in ("CLIF", "LIF")] == ["1.4e-04", "2.8e-07"]
    assert [round(shares[name][5] / shares[name][4], 2) for name in ("CLIF", "LIF")] == [0.44, 0.26]
    text = " ".join((DOCS / "theory.md").read_text("utf-8").split())
    assert "1.4·10⁻⁴ of CLIF's gradient is left and 2.8·10⁻⁷ of LIF's" in text


def table(page):
    """The rows of a page's tables as lists of cells."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `-")]


def test_the_table_of_the_original_flags_has_our_defaults():
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    rows = table("migration.md")
    assert len(rows) == 32
    for flag, default, _ in rows:
        value = defaults[flag.strip("`-")]
        assert default == ("" if value in (None, "") else f"`{value}`")


def test_the_defaults_of_spikingjelly_are_those_of_the_table():
    pytest.importorskip("spikingjelly.activation_based.memopt", reason="no SpikingJelly 2.0", exc_type=ImportError)
    from spikingjelly.activation_based import neuron

    text = (DOCS / "howto/spikingjelly.md").read_text("utf-8")
    theirs, ours = neuron.LIFNode(), clif.LIFNode()
    for name in ("tau", "v_threshold", "detach_reset", "step_mode"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert (theirs.decay_input, ours.decay_input) == (True, False)
    assert (theirs.v_reset, ours.v_reset) == (0.0, None)
    assert str(theirs.surrogate_function) == "Sigmoid(alpha=4.0, spiking=True)"
    assert ours.surrogate_function == clif.surrogate.Rectangle(1.0)
    for cell in ("| False | **True** |", "| None, a soft reset | **0.0, a hard reset** |", "| **Sigmoid(α=4)** |"):
        assert cell in text
    theirs = neuron.ComplementaryLIFNode()
    assert (theirs.tau, theirs.v_reset) == (2.0, None)
    assert str(theirs.surrogate_function) == "Rect(alpha=1.0, spiking=True)"


def test_the_defaults_of_snntorch_are_those_of_the_table():
    snntorch = pytest.importorskip("snntorch")
    defaults = {name: one.default for name, one in inspect.signature(snntorch.Leaky).parameters.items()}
    assert defaults["beta"] is inspect.Parameter.empty
    assert (defaults["threshold"], defaults["reset_mechanism"], defaults["reset_delay"]) == (1.0, "subtract", True)
    assert defaults["init_hidden"] is False
    assert inspect.signature(snntorch.surrogate.atan).parameters["alpha"].default == 2.0
    assert snntorch.Leaky(beta=0.5).spike_grad.__qualname__.startswith("atan.")
    text = (DOCS / "howto/snntorch.md").read_text("utf-8")
    for cell in ("**`beta`, no default**", "**ATan(α=2)**", "**a step later** (`reset_delay=True`)"):
        assert cell in text
