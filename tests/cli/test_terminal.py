"""stdout and stderr in any encoding: every command prints readable text, and no character makes it fail."""

import io
import os
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clif.cli import COMMANDS, main
from clif.cli.terminal import SUBSTITUTES, every_character_printable
from clif.train import metrics, seeds

ENCODINGS = ["ascii", "latin-1", "cp437", "cp1252", "utf-8"]


class Stream(io.TextIOWrapper):
    """A text stream whose bytes can be read back."""

    def __init__(self, encoding, errors="strict"):
        super().__init__(io.BytesIO(), encoding=encoding, errors=errors)

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def streams(monkeypatch):
    """Replaces stdout and stderr with streams of an encoding."""

    def put(encoding):
        out, err = Stream(encoding), Stream(encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    return put


@given(st.text(), st.sampled_from(ENCODINGS))
def test_every_text_can_be_printed(text, encoding):
    before, sys.stdout = sys.stdout, Stream(encoding)
    try:
        with every_character_printable():
            sys.stdout.write(text)
        assert len(sys.stdout.text()) >= len(text)
    finally:
        sys.stdout = before


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("67.97 ± 0.49 %", "67.97 +- 0.49 %"),
        ("N,N,… of 3×32×32, 5 µJ", "N,N,... of 3x32x32, 5 uJ"),
        ("v_threshold · (1 + c), τ ≥ 1 → σ", "v_threshold * (1 + c), tau >= 1 -> sigma"),
        ("naïve/日本", "na\\xefve/\\u65e5\\u672c"),
        (os.fsdecode(b"run\xff/\xc2\xb1"), "run\\xff/+-"),
    ],
)
def test_what_ascii_lacks_is_written_in_its_characters(text, ascii_text, streams):
    out, err = streams("ascii")
    with every_character_printable():
        print(text)
        print(text, file=sys.stderr)
    assert out.text() == err.text() == f"{ascii_text}\n"


def test_what_an_encoding_has_stays(streams):
    out, _ = streams("cp437")
    with every_character_printable():
        print("± µ σ × …")
    assert out.text() == "± µ σ x ...\n"


def test_an_undecodable_name_is_printed_where_the_encoding_has_all_characters(streams):
    out, _ = streams("utf-8")
    with every_character_printable():
        print(os.fsdecode(b"\xff\xc2\xb1"))
    assert out.text() == "\\xff±\n"


def test_substitutes_are_ascii():
    assert all(text.isascii() and not character.isascii() for character, text in SUBSTITUTES.items())


@pytest.mark.parametrize("closed", [False, True])
def test_afterwards_the_streams_are_as_before(streams, closed):
    out, err = streams("ascii")
    with every_character_printable():
        assert out.errors != "strict"
        if closed:
            out.close()
    assert err.errors == "strict"
    assert closed or out.errors == "strict"


def test_a_reader_that_has_gone_is_no_error_of_the_stream(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    out = os.fdopen(writer, "w", encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with every_character_printable():
        print("±")
    with pytest.raises(BrokenPipeError):
        out.close()


def test_streams_that_are_no_files_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    with every_character_printable():
        print("±")
    assert sys.stdout.getvalue() == "±\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_on_every_terminal(command, encoding, streams):
    out, _ = streams(encoding)
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert "usage: clif" in out.text()


@pytest.mark.parametrize(
    "line", ["models", "recipes", "data check digits", "completion zsh", "train digits --print-config"]
)
def test_lists_on_an_ascii_terminal(line, streams):
    out, _ = streams("ascii")
    assert main(line.split()) == 0
    assert len(out.text()) > 100


def test_an_error_names_an_undecodable_file_on_an_ascii_terminal(streams, tmp_path):
    _, err = streams("ascii")
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xc2\xb1.pth")
    assert main(["eval", path]) == 2
    assert err.text() == f"clif: error: no checkpoint at {tmp_path}/\\xff+-.pth\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["é±", os.fsdecode(b"\xff")])
def test_the_printed_configuration_is_the_same_recipe_on_every_terminal(name, encoding, streams):
    out, _ = streams(encoding)
    assert main(["train", "digits", "--print-config", "--name", name]) == 0
    assert yaml.safe_load(out.text())["name"] == name


@pytest.mark.parametrize("options", [["--json-lines"], pytest.param([], marks=pytest.mark.slow)])
def test_a_training_in_an_undecodable_folder_on_an_ascii_terminal(streams, tmp_path, options, monkeypatch):
    warnings = []
    monkeypatch.setattr(metrics.logger, "warning", warnings.append)
    out, err = streams("ascii")
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xc2\xb1")
    line = f"train digits -T 1 -b 720 --max-steps 1 --no-amp --seeds 0,1 --out-dir {folder}"
    assert main([*line.split(), *options]) == 0
    assert "\\xff" in out.text() or "\\udcff" in out.text()
    assert "Traceback" not in err.text()
    runs = [name for name in os.listdir(folder) if "_seed" in name and os.path.isdir(f"{folder}/{name}")]
    assert len(runs) == 2
    for run in runs:
        assert {"metrics.csv", "checkpoint_last.pth", "summary.json"} <= set(os.listdir(f"{folder}/{run}"))
    assert len(warnings) == 2
    assert all("TensorBoard needs a path in UTF-8" in warning for warning in warnings)


def test_the_program_takes_its_encoding_from_the_environment(tmp_path):
    script = "import sys\nfrom clif.cli import main\nsys.exit(main(['train', '±…', '--print-config']))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("clif: error: unknown recipe '+-...'")


def test_a_summary_of_seeds_is_printed_on_an_ascii_terminal(streams, monkeypatch):
    row = {"mean": 0.5, "std": 0.1, "by_seed": [0.4, 0.6]}
    scores = {"test_top1": row, "test_top5": row, "test_loss": row}
    summary = {"seeds": [0, 1], "best_chosen_on": "val", "last": scores, "best": scores}
    monkeypatch.setattr(seeds, "fit_seeds", lambda *_: seeds.SeedsResult("s.json", summary, {}))
    out, _ = streams("ascii")
    assert main(["train", "digits", "--seeds", "0,1"]) == 0
    assert "last epoch, 2 seeds: test top-1 50.00% +- 10.00%" in out.text()
