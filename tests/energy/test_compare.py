"""Several networks in one table, in four formats."""

import csv
import io
import json

import pytest
import torch

from clif import energy
from clif.cli import main
from clif.errors import InputError
from clif.models import create_model
from clif.train.checkpoint import save_checkpoint

NEURONS = ("CLIF", "LIF", "ReLU")


def estimated(neuron, T=2):
    net = create_model("snn5_noAP", neuron, T=T, image_size=16).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, 0.6)
    return energy.estimate(net, [(torch.rand(2, 3, 16, 16), None)])


@pytest.fixture(scope="module")
def comparison():
    return energy.compare([estimated(neuron) for neuron in NEURONS])


def test_layers_stand_side_by_side_and_totals_at_the_end(comparison):
    assert list(comparison.networks) == ["CLIF", "LIF", "ANN"]
    rows = comparison.rows
    assert [(row["layer"], row["network"]) for row in rows[:4]] == [
        ("features.0.fwd.0", "CLIF"),
        ("features.0.fwd.0", "LIF"),
        ("features.0.fwd.0", "ANN"),
        ("features.1.fwd.0", "CLIF"),
    ]
    neurons = [row for row in rows if row["layer"] == "features.0.act"]
    assert [(row["network"], row["kind"]) for row in neurons] == [("CLIF", "CLIFNode"), ("LIF", "LIFNode")]
    for network, result in comparison.networks.items():
        mine = [row for row in rows if row["network"] == network]
        for column in ("SOPs", "ACs", "MACs", "updates", "stored_bytes", "moved_bytes", "operations_uJ", "memory_uJ"):
            assert sum(row[column] for row in mine[:-1]) == pytest.approx(mine[-1][column])
        assert mine[-1]["layer"] == "total"
        assert mine[-1]["operations_uJ"] == result.microjoule
    totals = {row["network"]: row for row in comparison.totals}
    assert (totals["ANN"]["SOPs"], totals["ANN"]["rate"], totals["ANN"]["T"]) == (0, None, 1)
    assert totals["CLIF"]["updates"] == totals["LIF"]["updates"] > 0
    assert totals["CLIF"]["stored_bytes"] > totals["LIF"]["stored_bytes"]
    assert totals["LIF"]["published_mJ"] == comparison.networks["LIF"].published.total_mJ


def test_names():
    one, other = estimated("LIF", 1), estimated("LIF", 2)
    assert list(energy.compare([one, other, one]).networks) == ["LIF", "LIF (2)", "LIF (3)"]
    assert list(energy.compare({"a": one, "b": other}).networks) == ["a", "b"]
    with pytest.raises(InputError, match=r"at least one result of clif\.energy\.estimate"):
        energy.compare([])


def test_every_format_has_every_row(comparison, tmp_path):
    rows = comparison.rows
    for suffix in ("json", "csv", "md", "tex"):
        comparison.write(tmp_path / f"table.{suffix}")
    read = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert len(read) == len(rows)
    for row, wanted in zip(read, rows, strict=True):
        assert float(row["SOPs"]) == wanted["SOPs"]
        assert row["rate"] == ("" if wanted["rate"] is None else str(wanted["rate"]))
    networks = json.loads((tmp_path / "table.json").read_text())["networks"]
    assert networks["LIF"]["sops"] == comparison.networks["LIF"].sops
    assert networks["LIF"]["costs"]["node_nm"] == 45
    markdown = (tmp_path / "table.md").read_text().splitlines()
    assert len(markdown) == len(rows) + 2
    assert {line.count("|") for line in markdown} == {13}
    assert markdown[2].startswith("| features.0.fwd.0 | CLIF | Conv2d |")
    latex = (tmp_path / "table.tex").read_text()
    assert latex.count("\\\\\n") == len(rows) + 1
    assert "\\textmu{}J" in latex
    assert {line.count("&") for line in latex.splitlines() if "&" in line} == {11}


def test_latex_is_escaped():
    result = estimated("LIF", 1)
    latex = energy.compare({"a_b & 50% \\x": result}).to_latex()
    assert "a\\_b \\& 50\\% \\textbackslash{}x" in latex


def test_markdown_is_escaped():
    markdown = energy.compare({"a|b_c": estimated("LIF", 1)}).to_markdown()
    assert "| a\\|b\\_c |" in markdown


def test_what_cannot_be_written(comparison, tmp_path):
    with pytest.raises(InputError, match=r"table\.xlsx: the suffix sets the format; use one of \.json, \.csv"):
        comparison.write(tmp_path / "table.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv cannot be written"):
        comparison.write(tmp_path / "folder.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv"]


@pytest.fixture
def checkpoints(tmp_path):
    paths = {}
    for name, neuron in (("clif", "CLIF"), ("lif", "LIF"), ("other", "LIF"), ("ann", "ReLU")):
        net = create_model("snn5_noAP", neuron, T=2)
        config = {"dataset": "digits", "model": "snn5_noAP", "neuron": neuron, "T": net.T, "b": 8}
        paths[name] = str(tmp_path / f"{name}.pth")
        save_checkpoint(tmp_path / f"{name}.pth", {"net": net.state_dict(), "model": net.config, "config": config})
    return paths


def test_the_command_compares(checkpoints, tmp_path, capsys):
    out = tmp_path / "table.md"
    words = [checkpoints[name] for name in ("clif", "lif", "ann")]
    assert main(["energy", *words, "--images", "8", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "digits, snn5_noAP, CLIF, T=2, 8 test images" in printed
    assert "total ANN: T=1, " in printed
    assert "costs: 45nm, 0.9 pJ an AC, 4.6 pJ a MAC; Horowitz" in printed
    assert "| total | ANN |" in out.read_text()
    assert main(["energy", checkpoints["lif"], checkpoints["other"], "--images", "4"]) == 0
    assert f"total {checkpoints['other']}: T=2" in capsys.readouterr().out


def test_the_command_takes_costs(checkpoints, tmp_path, capsys):
    path = tmp_path / "chip.yaml"
    path.write_text("ac_pj: 1\nmac_pj: 1\nnode_nm: 22\n")
    out = tmp_path / "e.json"
    line = ["energy", checkpoints["lif"], "--images", "4", "--out", str(out)]
    assert main([*line, "--costs", str(path)]) == 0
    written = json.loads(out.read_text())
    assert written["microjoule"] == pytest.approx((written["acs"] + written["macs"]) / 1e6)
    assert (written["costs"]["name"], written["costs"]["node_nm"]) == ("chip", 22)
    assert main([*line, "--mac-pj", "2"]) == 0
    written = json.loads(out.read_text())
    assert written["microjoule"] == pytest.approx((0.9 * written["acs"] + 2 * written["macs"]) / 1e6)
    assert written["costs"]["name"] == "45nm, changed"
    capsys.readouterr()
    for words, message in (
        (["--mac-pj", "-1"], "mac_pj of the costs must be a finite number of at least 0, got -1.0"),
        (["--costs", "9nm"], "unknown name of costs '9nm'"),
        (["--out", "table.doc"], "the suffix sets the format"),
    ):
        assert main([*line, *words]) == 2
        assert message in capsys.readouterr().err
    assert main(["energy", checkpoints["lif"], checkpoints["lif"]]) == 2
    assert "lif.pth is named twice; name each network once" in capsys.readouterr().err
    assert main(["energy", checkpoints["lif"], "nowhere", "--images", "4"]) == 2
    assert capsys.readouterr() == ("", "clif: error: no checkpoint at nowhere\n")  # before any measurement
