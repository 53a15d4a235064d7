"""A run whose output has lost its reader saves its checkpoint and ends."""

import io
import subprocess
import sys

import pytest
from runs import LAST, assert_same_run

import clif.cli
from clif.cli import main
from clif.errors import InputError
from clif.train.callbacks import Callback, JsonLines
from clif.train.interrupt import SIGPIPE, Interrupted
from clif.train.loop import fit
from clif.train.seeds import fit_seeds


class Pipe(io.StringIO):
    """A stream that loses its reader after so many lines."""

    def __init__(self, lines):
        super().__init__()
        self.left = lines

    def isatty(self):
        return True

    def write(self, text):
        if self.left <= 0:
            raise BrokenPipeError(32, "Broken pipe")
        self.left -= text.count("\n")
        return super().write(text)


class Printer(Callback):
    def __init__(self, file, hook):
        setattr(self, hook, lambda *_: print("x", file=file))


@pytest.fixture(scope="module")
def whole(short_run, tmp_path_factory):
    from clif.train.config import resolve

    return fit(resolve(**{**short_run, "out_dir": str(tmp_path_factory.mktemp("whole"))}), quiet=True).folder


@pytest.fixture(scope="module", autouse=True)
def _precision_told(short_run, tmp_path_factory):
    """Prints the line that a process prints once, so the lines of all later runs are the same."""
    from clif.train.config import resolve

    fit(resolve(**{**short_run, "out_dir": str(tmp_path_factory.mktemp("first")), "max_steps": 1}))


WATCHERS = {
    "lines": lambda: JsonLines(Pipe(0)),
    "lines after the start": lambda: JsonLines(Pipe(1)),
    "start": lambda: Printer(Pipe(0), "on_start"),
    "step": lambda: Printer(Pipe(0), "on_step"),
    "fifth step": lambda: Printer(Pipe(4), "on_step"),
    "epoch": lambda: Printer(Pipe(0), "on_epoch"),
}


@pytest.mark.parametrize("watcher", WATCHERS)
def test_a_run_whose_callback_has_no_reader_is_saved_and_resumes_to_the_same_bits(train, config, whole, watcher):
    with pytest.raises(Interrupted, match=r"^the reader of the output closed it; stopped in .*-resume ") as stopped:
        fit(config(), quiet=True, callbacks=[WATCHERS[watcher]()])
    assert stopped.value.signum == SIGPIPE
    folder = config().run_folder()
    assert (folder / LAST).is_file()
    assert_same_run(train(resume=str(folder)).folder, whole)


@pytest.mark.parametrize("lines", [0, 1])
def test_a_run_that_prints_to_no_reader_is_saved(train, config, whole, monkeypatch, lines):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Pipe(lines))
        with pytest.raises(Interrupted, match="the reader of the output closed it; stopped in"):
            fit(config())
    assert_same_run(train(resume="auto").folder, whole)


def test_a_run_whose_progress_bars_have_no_reader_is_saved(train, config, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Pipe(0))
        with pytest.raises(Interrupted, match="the reader of the output closed it; stopped in epoch 1, step 1"):
            fit(config())
    assert "1.64 M parameters" in capsys.readouterr().out
    assert_same_run(train(resume="auto").folder, whole)


def test_a_run_that_was_complete_when_its_reader_went_says_so(config, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Pipe(2))
    with pytest.raises(Interrupted, match=r"closed it; complete: run folder") as stopped:
        fit(config())
    assert (config().run_folder() / "summary.json").is_file()
    assert stopped.value.signum == SIGPIPE


@pytest.mark.parametrize("lines", [0, 2])
def test_seeds_without_a_reader_resume_with_auto(config, monkeypatch, lines):
    monkeypatch.setattr(sys, "stdout", Pipe(lines))
    with pytest.raises(Interrupted, match=r"closed it; seed 3 stopped; to continue, .* --resume auto"):
        fit_seeds(config(), [3, 4])


def test_the_program_says_it_on_stderr_and_exits_with_141(config, monkeypatch, capsys):
    arguments = [f"--{key}={getattr(config(), key)}" for key in ("dataset", "data_dir", "model", "T", "b", "out_dir")]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Pipe(1))
        assert main(["train", *arguments, "-epochs", "2", "--json-lines"]) == 141
        error = capsys.readouterr().err
        assert error.startswith("clif: the reader of the output closed it; stopped in epoch 2, step 1 of 4")
        patch.setattr(sys, "stdout", Pipe(0))
        assert main(["train", *arguments, "-epochs", "2", "--quiet", "-resume", "auto"]) == 141
        assert "closed it; complete: run folder" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "digits"], ["train", "digits", "--print-config"]])
def test_other_commands_end_quietly(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Pipe(1))
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_a_mistake_is_a_mistake_without_a_reader_too(monkeypatch, capsys):
    def fail(_arguments):
        sys.stdout.flush = lambda: sys.stdout.write("rest")
        raise InputError("wrong")

    monkeypatch.setattr(clif.cli, "run", fail)
    monkeypatch.setattr(sys, "stdout", Pipe(0))
    assert main(["recipes"]) == 2
    assert capsys.readouterr().err == "clif: error: wrong\n"


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    "words", [["recipes"], *(pytest.param(words, marks=pytest.mark.slow) for words in (["train", "--help"], ["eval"]))]
)
def test_no_traceback_of_a_real_pipe_without_a_reader(words):
    command = [sys.executable, "-m", "clif", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == (2 if words == ["eval"] else 0)
    assert error.count("\n") == (words == ["eval"])


def test_a_program_without_stdout_trains(config, monkeypatch):
    arguments = [f"--{key}={getattr(config(), key)}" for key in ("dataset", "data_dir", "model", "T", "b", "out_dir")]
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["train", *arguments, "-epochs", "1", "--quiet"]) == 0
