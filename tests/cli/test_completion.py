"""The scripts of `clif completion`, run in a shell."""

import shutil
import subprocess
import sys

import pytest

from clif.cli import COMMANDS, main
from clif.models import list_models
from clif.train.config import list_recipes

pytest.importorskip("shtab")
bash = shutil.which("bash")
needs_bash = pytest.mark.skipif(bash is None, reason="bash is not installed")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, "-m", "clif", "completion", "bash"], capture_output=True, text=True, timeout=60, check=True
    )
    path = tmp_path_factory.mktemp("completion") / "clif.bash"
    path.write_text(done.stdout)
    return path


@pytest.fixture
def complete(script):
    """The completions that bash offers for the last of some words."""

    def completions(*words):
        lines = (
            'source "$1"; shift',
            "complete -p clif >/dev/null || exit 1",
            'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_clif 2>&1',
            'printf "%s\\n" "${COMPREPLY[@]}"',
        )
        command = [bash, "--norc", "-c", "\n".join(lines), "bash", script, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    return completions


@needs_bash
def test_bash_reads_the_script(script):
    subprocess.run([bash, "-n", script], timeout=60, check=True)


@needs_bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["clif", ""], list(COMMANDS)),
        (["clif", "comp"], ["completion"]),
        (["clif", "train", ""], list_recipes()),
        (["clif", "recipes", "dig"], ["digits"]),
        (["clif", "train", "--label"], ["--label-smoothing"]),
        (["clif", "train", "digits", "--model", ""], list_models()),
        (["clif", "train", "--neuron", "P"], ["PLIF"]),
        (["clif", "train", "--opt", ""], ["SGD", "Adam", "AdamW", "Muon"]),
        (["clif", "train", "-b", "4", "--amp", ""], ["True", "False"]),
        (["clif", "deploy", "x.pth", "--method", "s"], ["sweep", "subtract"]),
        (["clif", "export", "x.pth", "--format", ""], ["nir", "onnx", "torch", "safetensors"]),
        (["clif", "data", "check", "cifar10"], ["cifar10", "cifar100", "cifar10dvs"]),
        (["clif", "models", "vgg"], ["vggsnn"]),
    ],
)
def test_bash_completes(complete, words, expected):
    assert sorted(complete(*words)) == sorted(expected)


@needs_bash
def test_bash_completes_files_and_folders(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pth").touch()
    (tmp_path / "nets").mkdir()
    assert sorted(complete("clif", "eval", "ne")) == ["net.pth", "nets"]
    assert complete("clif", "train", "--data-dir", "ne") == ["nets"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_of_theirs(shell, capsys):
    assert main(["completion", shell]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("#compdef clif" if shell == "zsh" else "#")
    assert "spiking_resnet18" in shown


@pytest.mark.parametrize(("words", "message"), [(["bsh"], "unknown shell 'bsh'; did you mean bash"), ([], "shell")])
def test_a_wrong_shell_is_one_line(words, message, capsys):
    assert main(["completion", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_shtab_the_error_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "clif-snn[completion]"' in capsys.readouterr().err
