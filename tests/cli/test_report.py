"""clif report: the files and messages that it writes, and the files of measurements that it reads."""

import json

import pytest
from run_folders import write_pair, write_run

from clif.cli import main


def test_the_command_writes_the_page_and_its_files_and_says_what_differs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "logs", seeds=(0, 1))
    assert main(["report", "logs", "--title", "My & runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CLIF − LIF: +1.05 ± 0.07 points over 2 seeds, p = ")
    assert lines[-2:] == ["figures and tables: report_files", f"page: {tmp_path / 'report.html'}"]
    assert "<h1>My &amp; runs</h1>" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "report_files" / "table_final.tex").is_file()


def test_what_is_wrong_with_a_run_is_said(tmp_path, capsys):
    folder = write_run(tmp_path / "a", epochs=4, done=2)
    (folder / "warnings.json").write_text('[{"epoch": 0, "message": "layer x did not fire once"}]')
    assert main(["report", str(folder), "--out", str(tmp_path / "p.html"), "--no-files"]) == 0
    out = capsys.readouterr().out
    assert "warning: a: layer x did not fire once" in out
    assert "warning: a: stopped after 2 of 4 epochs" in out
    assert not (tmp_path / "p_files").exists()


def test_a_run_without_a_checkpoint_is_not_measured(tmp_path, capsys):
    folder = write_run(tmp_path / "a", done=0)
    assert main(["report", str(folder), "--measure", "5", "--out", str(tmp_path / "p.html"), "--no-files"]) == 0
    assert "not measured: a has no checkpoint yet" in capsys.readouterr().out
    assert (tmp_path / "p.html").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no run at nowhere"),
        (["a"], "config.yaml: not a"),
        (["b", "--out", "page.pdf"], "the page must be a .html file"),
        (["b", "--every", "3"], "--every needs --live"),
        (["b", "--measure", "0"], "--measure must be at least 1 image, got 0"),
        (["b", "--live", "--measure", "3"], "--measure needs finished runs"),
        (["b", "--import", "x.py"], "--import needs --measure"),
        (["b", "--live", "--every", "0"], "at least 1 second"),
        ([], "RUN"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "b")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.yaml").write_text("[")
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.slow
def test_what_eval_and_energy_measure_of_a_run_is_in_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", "-T", "1", "-amp", "False", "-max_steps", "2", "--quiet", "-out_dir", "logs"]) == 0
    (run,) = (tmp_path / "logs").iterdir()
    assert main(["eval", str(run)]) == 0
    assert f"written: {run / 'eval.json'}" in capsys.readouterr().out
    measured = json.loads((run / "eval.json").read_text())
    assert (measured["checkpoint"], measured["dataset"], measured["samples"]) == ("checkpoint_best.pth", "digits", 360)
    assert set(measured["classes"]) == set("0123456789")
    assert main(["report", "logs", "--measure", "20", "--no-files"]) == 0
    energy = json.loads((run / "energy.json").read_text())
    assert (energy["images"], energy["checkpoint"]) == (20, "checkpoint_best.pth")
    page = (tmp_path / "report.html").read_text()
    assert 'id="table-evaluation"' in page
    assert 'id="table-classes"' in page
    assert 'id="chart-energy"' in page
    assert "as clif energy measured it" in page
