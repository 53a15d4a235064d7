import base64
import re
import shlex
import stat

import pytest

from clif.cli import main
from clif.report import run_demo

FIGURES = {"firing_rates", "raster", "traces", "sweep"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), quiet=True, epochs=1, T_max=1, T=2)


@pytest.mark.slow
def test_the_page_holds_its_figures_and_needs_nothing_else(demo):
    html = demo.page.read_text()
    for figure in FIGURES:
        for ending in ("svg", "pdf", "png", "csv"):
            assert (demo.files / f"{figure}.{ending}").is_file()
            assert f'download="{figure}.{ending}"' in html
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)]
    assert pictures == [(demo.files / f"{name}.svg").read_bytes() for name in ("raster", "traces")]
    assert not re.search(r'(src|href)="(?!data:|#)', html)


@pytest.mark.slow
def test_the_page_tells_the_figures_of_the_runs(demo):
    html = demo.page.read_text()
    for neuron in ("CLIF", "LIF"):
        assert f"clif train digits --neuron {neuron} --epochs 1 --T-max 1 -T 2\n" in html
        assert f"<b>{100 * demo.runs[neuron].summary['last']['test_top1']:.2f} %</b>" in html
        deployment = demo.deployments[neuron]
        assert deployment.source.top1 == pytest.approx(demo.runs[neuron].summary["last"]["test_top1"])
        assert all(f">{100 * row.top1:.2f}</td>" in html for row in deployment.table)
    fitted = demo.fitted.judged[-1]
    assert fitted.name == "subtract"
    assert f"{fitted.agreement:.2%} of the test images" in html


@pytest.mark.slow
def test_others_may_read_the_page(demo):
    assert demo.page.stat().st_mode & stat.S_IRGRP


@pytest.mark.slow
def test_the_command_ends_with_the_page_and_three_commands(tmp_path, capsys):
    assert main(["demo", "-out", str(tmp_path / "out"), "-epochs", "1", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5] == f"The page: {(tmp_path / 'out' / 'index.html').resolve()}"
    assert [line.split()[:2] for line in lines[-3:]] == [["clif", "eval"], ["clif", "deploy"], ["clif", "train"]]


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "-out", str(tmp_path / "file" / "out"), "-epochs", "1", "--quiet"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_demo_says_how_to_resume_it_and_does(tmp_path, capsys, monkeypatch):
    from clif import report
    from clif.train.interrupt import Interrupted

    calls = []

    def stopped(out, **options):
        calls.append((out, options))
        raise (KeyboardInterrupt if options["resume"] else Interrupted(15, "stopped in epoch 1", ", never said"))

    monkeypatch.setattr(report, "run_demo", stopped)
    assert main(["demo", "-out", str(tmp_path / "a b"), "-seed", "3", "--quiet"]) == 143
    error = capsys.readouterr().err
    assert error.startswith("clif: stopped in epoch 1; to continue: clif demo ")
    words = shlex.split(error.partition("to continue: clif ")[2])
    assert main(words) == 130
    assert capsys.readouterr().err == error.replace("stopped in epoch 1", "interrupted")
    assert [call[0] for call in calls] == [tmp_path / "a b"] * 2
    assert [call[1] for call in calls] == [{"quiet": True, "resume": flag, "seed": 3} for flag in (False, True)]


@pytest.mark.slow
def test_a_demo_resumes_the_runs_that_were_begun(tmp_path, monkeypatch):
    from clif.train import loop
    from clif.train.interrupt import Interrupted

    class Stop:
        signum = 2
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    options = {"quiet": True, "epochs": 1, "T": 1}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", Stop)
        with pytest.raises(Interrupted):
            run_demo(tmp_path, **options)
    demo = run_demo(tmp_path, resume=True, **options)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == sorted(r.folder.name for r in demo.runs.values())
